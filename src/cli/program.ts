import { Command, CommanderError } from 'commander';
import { auditCommand } from './audit.js';
import { beginCommand } from './begin.js';
import { benchCommand } from './bench.js';
import { completeCommand } from './complete.js';
import { completionCommand } from './completion.js';
import { doctorCommand } from './doctor.js';
import { exitCodes, usageExitCode } from './exit-codes.js';
import { failCommand } from './fail.js';
import { forgetCommand } from './forget.js';
import { heartbeatCommand } from './heartbeat.js';
import { infoCommand } from './info.js';
import type { Io } from './io.js';
import { lineageCommand } from './lineage.js';
import { listCommand } from './list.js';
import { lookupCommand } from './lookup.js';
import { mintKeyCommand } from './mint-key.js';
import { namespaceCommand } from './namespace.js';
import { reportFailure } from './report-error.js';
import { resolveCommand } from './resolve.js';
import { statsCommand } from './stats.js';
import { sweepCommand } from './sweep.js';

/** Runs the program with the arguments after its name and gives back its exit code; never throws. */
export async function runProgram(args: readonly string[], io: Io): Promise<number> {
  const json = args.includes('--json');
  try {
    const program = await createProgram(io, args[0]);
    // Commander keeps silent about wrong usage, for us to say it as an object.
    if (json) silence(program);
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) {
      // By name: its module reads settings, which no client command needs.
      const usage = error instanceof Error && error.name === 'ConfigError';
      reportFailure(io, error, json, usage ? usageExitCode : 1);
    } else if (error.exitCode !== 0) {
      // Help and version end with an error of exit code 0; commander has printed what it found wrong by itself.
      io.exitCode = usageExitCode;
      const message = error.message.replace(/^error: /, '');
      if (json || error.code === 'onceward.usage') reportFailure(io, new Error(message), json, usageExitCode);
    }
  }
  return io.exitCode;
}

/**
 * The commander tree. `first`: the first argument. When it names a client command, the commands that run a coordinator
 * stay out: loading a whole server would double the time a script waits for each call.
 */
export async function createProgram(io: Io, first?: string): Promise<Command> {
  const program = new Command('onceward')
    .description('Makes operations between services take effect once.')
    .addHelpText('after', `\n${exitCodeHelp()}\n\nExample:\n  onceward begin order-42`)
    .configureOutput({ writeOut: (text) => io.stdout.write(text), writeErr: (text) => io.stderr.write(text) })
    // The help command goes where the default group is; the others name their own.
    .commandsGroup('Shell:')
    .helpCommand('help [command]', 'display help for command')
    .exitOverride();
  const client = Object.entries(clientCommands).flatMap(([group, commands]) =>
    commands.map((command) => command(io).helpGroup(`${group}:`)),
  );
  const isClientCommand = client.some((command) => command.name() === first);
  const server = isClientCommand ? [] : await loadServerCommands(program, io);
  for (const command of [...client, ...server, completionCommand(io)]) program.addCommand(command);
  inheritSettings(program);
  return program;
}

const clientCommands: Readonly<Record<string, readonly ((io: Io) => Command)[]>> = {
  Operations: [
    beginCommand,
    completeCommand,
    failCommand,
    heartbeatCommand,
    lookupCommand,
    lineageCommand,
    mintKeyCommand,
  ],
  Administration: [namespaceCommand, listCommand, resolveCommand, forgetCommand, sweepCommand, auditCommand],
  Coordinator: [infoCommand, statsCommand, doctorCommand, benchCommand],
};

async function loadServerCommands(program: Command, io: Io): Promise<readonly Command[]> {
  const [{ devCommand }, { serveCommand }, { migrateCommand }, { programVersion }] = await Promise.all([
    import('./dev.js'),
    import('./serve.js'),
    import('./migrate.js'),
    import('./run-server.js'),
  ]);
  program.version(programVersion(), '-V, --version');
  return [devCommand(), serveCommand(), migrateCommand(io)].map((command) =>
    command.helpGroup('Coordinator:'),
  );
}

/** Commands that were made on their own know nothing of the program's output and exit settings. */
function inheritSettings(command: Command): void {
  for (const sub of command.commands) {
    sub.copyInheritedSettings(command);
    inheritSettings(sub);
  }
}

function silence(command: Command): void {
  command.configureOutput({ outputError: () => undefined });
  inheritSettings(command);
}

function exitCodeHelp(): string {
  const lines = Object.entries(exitCodes).map(([code, meaning]) => `  ${code.padStart(2)}  ${meaning}`);
  return ['Exit codes:', ...lines].join('\n');
}
