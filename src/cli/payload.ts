import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { usageError } from './arguments.js';
import type { Io } from './io.js';

export interface PayloadOptions {
  readonly payload?: string;
  readonly payloadFile?: string;
  readonly contentType?: string;
}

export function addPayloadOptions(command: Command): Command {
  return command
    .option('--payload <text>', 'the result, as text')
    .option('--payload-file <file>', 'the result, from a file; - for stdin')
    .option('--content-type <type>', 'what the payload is, e.g. application/json');
}

/** The payload as given; undefined when none was: an empty result. */
export function readPayload(io: Io, options: PayloadOptions): Promise<Buffer | undefined> {
  return readBytes(io, 'payload', options.payload, options.payloadFile);
}

/** Bytes of `--name text` or `--name-file file`. */
export async function readBytes(
  io: Io,
  name: string,
  text: string | undefined,
  file: string | undefined,
): Promise<Buffer | undefined> {
  if (text !== undefined && file !== undefined)
    throw usageError(`--${name} and --${name}-file exclude each other`);
  if (file === undefined) return text === undefined ? undefined : Buffer.from(text);
  if (file === '-') return readAll(io);
  try {
    return await readFile(file);
  } catch (error) {
    throw usageError(`--${name}-file: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function readAll(io: Io): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of io.stdin) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}
