import { Argument, Command } from 'commander';
import { bashCompletion } from './completion-bash.js';
import { fishCompletion } from './completion-fish.js';
import { completionPlaces } from './completion-places.js';
import { zshCompletion } from './completion-zsh.js';
import type { Io } from './io.js';

export function completionCommand(io: Io): Command {
  return new Command('completion')
    .description('Print a completion script for a shell.')
    .addArgument(new Argument('<shell>', 'for which shell').choices(Object.keys(scripts)))
    .addHelpText('after', '\nExample:\n  source <(onceward completion bash)')
    .action((shell: keyof typeof scripts, _options: unknown, command: Command) => {
      // Generated from the tree it stands in, so that it can't fall behind.
      io.stdout.write(scripts[shell](completionPlaces(command.parent ?? command)));
    });
}

const scripts = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const;
