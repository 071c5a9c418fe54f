import type { Command, Option } from 'commander';

/** What can be typed after one command. */
export interface Place {
  /** The commands so far, each after a slash: empty for the program, `/namespace/put`. */
  readonly path: string;
  readonly commands: readonly Word[];
  /** Fixed values of the command's arguments. */
  readonly values: readonly string[];
  readonly options: readonly OptionWord[];
}

export interface Word {
  readonly word: string;
  readonly description: string;
}

export interface OptionWord extends Word {
  /** What follows: nothing, anything, a file, or one of these. */
  readonly takes: 'nothing' | 'anything' | 'file' | readonly string[];
}

/** The program's commands, in depth. */
export function completionPlaces(command: Command, path = ''): readonly Place[] {
  const help = command.createHelp();
  const place: Place = {
    path,
    commands: help
      .visibleCommands(command)
      .map((sub) => ({ word: sub.name(), description: sub.description() })),
    values: command.registeredArguments.flatMap((argument) => argument.argChoices ?? []),
    options: help
      .visibleOptions(command)
      .flatMap((option) =>
        option.long ? [{ word: option.long, description: option.description, takes: takesOf(option) }] : [],
      ),
  };
  return [place, ...command.commands.flatMap((sub) => completionPlaces(sub, `${path}/${sub.name()}`))];
}

function takesOf(option: Option): OptionWord['takes'] {
  if (!option.required && !option.optional) return 'nothing';
  if (option.argChoices) return option.argChoices;
  return /<(file|path|dir|directory)>/.test(option.flags) ? 'file' : 'anything';
}
