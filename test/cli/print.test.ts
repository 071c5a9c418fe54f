import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { Io } from '../../src/cli/io.js';
import { bytesText, printable, printPairs, printTable } from '../../src/cli/print.js';

function capture(isTTY = false): { io: Io; text: () => string } {
  let text = '';
  const output = { write: (part: string) => (text += part) };
  const io: Io = { stdout: output, stderr: output, stdin: Readable.from([]), isTTY, exitCode: 0 };
  return { io, text: () => text };
}

describe('bytesText', () => {
  const { io } = capture();

  it('shows printable UTF-8 as text', () => {
    expect(bytesText(io, Buffer.from('{"total":"12 €"}\n'))).toBe('{"total":"12 €"}\n');
    expect(bytesText(io, Buffer.alloc(0))).toBe('(empty)');
  });

  it('shows anything else as base64 with its size, so that it cannot drive the terminal', () => {
    expect(bytesText(io, Buffer.from([0xff, 0x00]))).toBe('/wA= (base64, 2 bytes)');
    expect(bytesText(io, Buffer.from('\x1b[2J'))).toBe('G1sySg== (base64, 4 bytes)');
  });

  it('is cut on a terminal only', () => {
    const long = Buffer.from('x'.repeat(5000));
    expect(bytesText(io, long)).toHaveLength(5000);
    expect(bytesText(capture(true).io, long)).toMatch(/x… \(5000 characters, cut; --json gives all\)$/);
  });
});

describe('printable', () => {
  it('escapes control characters', () => {
    expect(printable('a\x1b[31mb\nc\x7f')).toBe('a\\x1b[31mb\\nc\\x7f');
  });
});

describe('printPairs', () => {
  it('aligns, leaves out what is absent, and puts several lines below their name', () => {
    const { io, text } = capture();
    printPairs(io, [
      ['key', 'k'],
      ['state', 'COMPLETED'],
      ['trace', undefined],
      ['payload', 'a\nb'],
    ]);
    expect(text()).toBe('key      k\nstate    COMPLETED\npayload\n  a\n  b\n');
  });
});

describe('printTable', () => {
  it('aligns columns, without blanks at the end of lines', () => {
    const { io, text } = capture();
    printTable(
      io,
      ['KEY', 'STATE'],
      [
        ['order-42', 'FAILED'],
        ['o', '\x1b'],
      ],
    );
    expect(text()).toBe('KEY       STATE\norder-42  FAILED\no         \\x1b\n');
  });
});
