import { pino, destination, type Logger } from 'pino';

export type Log = Logger;

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

/** Lines that wait to be written, bytes: beyond it they are dropped. */
const waitingBytes = 1024 * 1024;

/** JSON lines on standard error: standard output is for what a person or a script asked for. */
export function createLog(level: LogLevel): Log {
  return pino({ level, base: {}, timestamp: () => `,"time":"${new Date().toISOString()}"` }, standardError());
}

/**
 * Where it can't be written to, as on a full disk, lines are lost and the coordinator goes on. Without a listener the first failure would end
 * the process, whose last flush tries again for ever, deaf to signals.
 */
function standardError(): ReturnType<typeof destination> {
  const output = destination({ dest: 2, minLength: 0, maxLength: waitingBytes });
  let failing = false;
  output.on('error', () => {
    failing = true;
  });
  output.on('write', () => {
    failing = false;
  });
  const flush = output.flushSync.bind(output);
  output.flushSync = () => {
    if (!failing) flush();
  };
  return output;
}
