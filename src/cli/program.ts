import { Command, CommanderError } from 'commander';
import { ConfigError } from '../config.js';
import { auditCommand } from './audit.js';
import { beginCommand } from './begin.js';
import { completeCommand } from './complete.js';
import { completionCommand } from './completion.js';
import { devCommand } from './dev.js';
import { doctorCommand } from './doctor.js';
import { exitCodes, usageExitCode } from './exit-codes.js';
import { failCommand } from './fail.js';
import { forgetCommand } from './forget.js';
import { heartbeatCommand } from './heartbeat.js';
import { infoCommand } from './info.js';
import type { Io } from './io.js';
import { listCommand } from './list.js';
import { lookupCommand } from './lookup.js';
import { migrateCommand } from './migrate.js';
import { mintKeyCommand } from './mint-key.js';
import { namespaceCommand } from './namespace.js';
import { reportFailure } from './report-error.js';
import { resolveCommand } from './resolve.js';
import { programVersion } from './run-server.js';
import { serveCommand } from './serve.js';
import { statsCommand } from './stats.js';

/** Runs the program with the arguments after its name and gives back its exit code; never throws. */
export async function runProgram(args: readonly string[], io: Io): Promise<number> {
  const json = args.includes('--json');
  try {
    await createProgram(io, json).parseAsync(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) {
      reportFailure(io, error, json, error instanceof ConfigError ? usageExitCode : 1);
    } else if (error.exitCode !== 0) {
      // Help and version end with an error of exit code 0; commander has printed what it found wrong by itself.
      io.exitCode = usageExitCode;
      const message = error.message.replace(/^error: /, '');
      if (json || error.code === 'onceward.usage') reportFailure(io, new Error(message), json, usageExitCode);
    }
  }
  return io.exitCode;
}

/** The commander tree. `json`: commander keeps silent about wrong usage, for runProgram to say it as an object. */
export function createProgram(io: Io, json = false): Command {
  const program = new Command('onceward')
    .description('Makes operations between services take effect once.')
    .version(programVersion(), '-V, --version')
    .addHelpText('after', `\n${exitCodeHelp()}\n\nExample:\n  onceward begin order-42`)
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      outputError: (text, write) => {
        if (!json) write(text);
      },
    })
    // The help command goes where the default group is; the others name their own.
    .commandsGroup('Shell:')
    .helpCommand('help [command]', 'display help for command')
    .exitOverride();
  for (const [group, commands] of Object.entries(groups)) {
    for (const command of commands) program.addCommand(command(io).helpGroup(`${group}:`));
  }
  inheritSettings(program);
  return program;
}

const groups: Readonly<Record<string, readonly ((io: Io) => Command)[]>> = {
  Operations: [beginCommand, completeCommand, failCommand, heartbeatCommand, lookupCommand, mintKeyCommand],
  Administration: [namespaceCommand, listCommand, resolveCommand, forgetCommand, auditCommand],
  Coordinator: [devCommand, serveCommand, migrateCommand, infoCommand, statsCommand, doctorCommand],
  Shell: [completionCommand],
};

/** Commands that were made on their own know nothing of the program's output and exit settings. */
function inheritSettings(command: Command): void {
  for (const sub of command.commands) {
    sub.copyInheritedSettings(command);
    inheritSettings(sub);
  }
}

function exitCodeHelp(): string {
  const lines = Object.entries(exitCodes).map(([code, meaning]) => `  ${code.padStart(2)}  ${meaning}`);
  return ['Exit codes:', ...lines].join('\n');
}
