import { CommanderError, InvalidArgumentError, Option } from 'commander';
import { codeOf } from '../client/call-error.js';
import { usageExitCode } from './exit-codes.js';

/** Wrong usage that only shows once all options are read, e.g. two that exclude each other. */
export function usageError(message: string): CommanderError {
  return new CommanderError(usageExitCode, 'onceward.usage', message);
}

export function nonEmpty(text: string): string {
  if (text !== '') return text;
  throw new InvalidArgumentError('It must not be empty.');
}

/** A whole number from `min`, up to `max` where there is one. */
export function wholeNumber(min: number, max = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    const upTo = max === Number.MAX_SAFE_INTEGER ? '' : ` to ${max}`;
    throw new InvalidArgumentError(`It must be a whole number from ${min}${upTo}.`);
  };
}

/** A part of all, from 0 to 1. */
export function share(text: string): number {
  const value = Number(text);
  if (/^\d*\.?\d+$/.test(text) && value <= 1) return value;
  throw new InvalidArgumentError('It must be a number from 0 to 1.');
}

/** A whole number from `min` that may need 64 bits, such as a fencing token. */
export function wholeBigint(min: bigint): (text: string) => bigint {
  return (text) => {
    if (/^\d+$/.test(text)) {
      const value = BigInt(text);
      if (value >= min && value < 2n ** 63n) return value;
    }
    throw new InvalidArgumentError(`It must be a whole number from ${min}.`);
  };
}

/** Repeated `name=value` options, gathered. */
export function nameValue(text: string, earlier: Readonly<Record<string, string>>): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('Use name=value.');
  return { ...earlier, [text.slice(0, at)]: text.slice(at + 1) };
}

/** The gRPC code of a failure, by name or number; a failure can't be OK. */
export function failureCode(text: string): number {
  const code = codeOf(text);
  if (code === undefined || code === 0) {
    throw new InvalidArgumentError(
      'Use the name or number of a gRPC code other than OK, e.g. NOT_FOUND or 5.',
    );
  }
  return code;
}

/** Hexadecimal bytes. */
export function hexBytes(text: string): Buffer {
  if (!/^([0-9a-f]{2})+$/i.test(text)) throw new InvalidArgumentError('Use hexadecimal digits, two a byte.');
  return Buffer.from(text, 'hex');
}

export function tokenOption(): Option {
  return new Option('--token <n>', 'the fencing token that begin gave out')
    .argParser(wholeBigint(1n))
    .makeOptionMandatory();
}

export function reasonOption(): Option {
  return new Option('--reason <text>', 'why, for the audit').makeOptionMandatory();
}
