import { pino, destination, type Logger } from 'pino';

export type Log = Logger;

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

/** JSON lines on standard error: standard output is for what a person or a script asked for. */
export function createLog(level: LogLevel): Log {
  return pino({ level, base: {}, timestamp: () => `,"time":"${new Date().toISOString()}"` }, destination(2));
}
