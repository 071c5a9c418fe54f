import type { Io } from './io.js';

/** One JSON object a line. */
export function printJson(io: Io, value: unknown): void {
  io.stdout.write(`${JSON.stringify(value)}\n`);
}

/** Aligned `name  value` lines; undefined values are left out. Values of several lines go below their name. */
export function printPairs(
  io: Io,
  pairs: readonly (readonly [name: string, value: string | undefined])[],
): void {
  const given = pairs.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
  const width = Math.max(...given.map(([name]) => name.length));
  for (const [name, value] of given) {
    if (value.includes('\n')) io.stdout.write(`${name}\n${value.trimEnd().replace(/^/gm, '  ')}\n`);
    else io.stdout.write(`${name.padEnd(width)}  ${value}\n`);
  }
}

/** Aligned columns under a head line. */
export function printTable(io: Io, head: readonly string[], rows: readonly (readonly string[])[]): void {
  const lines = [head, ...rows.map((row) => row.map(printable))];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  for (const line of lines) {
    io.stdout.write(
      `${line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd()}\n`,
    );
  }
}

/** With control characters escaped: stored text must not drive the reader's terminal. */
export function printable(text: string): string {
  return text.replace(/[\x00-\x1f\x7f-\x9f]/g, (c) => (c === '\n' ? '\\n' : `\\x${hex(c)}`));
}

/** Text if it is printable UTF-8, else base64 and the size. Cut on a terminal only. */
export function bytesText(io: Io, bytes: Uint8Array): string {
  if (bytes.length === 0) return '(empty)';
  const text = printableText(bytes);
  if (text === undefined) {
    const base64 = Buffer.from(bytes).toString('base64');
    return `${cut(io, base64)} (base64, ${bytes.length} bytes)`;
  }
  return cut(io, text);
}

/** An instant as ISO 8601; absent means for ever where the protocol says so. */
export function instant(time: Date | undefined, absent = '-'): string {
  return time === undefined ? absent : time.toISOString();
}

/** What a terminal shows of a payload before `--json` is the better way to look at it. */
const terminalCharacters = 4096;

function cut(io: Io, text: string): string {
  if (!io.isTTY || text.length <= terminalCharacters) return text;
  return `${text.slice(0, terminalCharacters)}… (${text.length} characters, cut; --json gives all)`;
}

function printableText(bytes: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);

    return /[\x00-\x08\x0b-\x1f\x7f-\x9f]/.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}

function hex(character: string): string {
  return character.charCodeAt(0).toString(16).padStart(2, '0');
}
