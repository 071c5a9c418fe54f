import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { plotResults } from './plot-results.js';
import type { Table } from './report.js';
import type { Results } from './results.js';

/** Writes RESULTS.md and the plot beside it. */
export async function writeResults(
  facts: readonly string[],
  tables: readonly Table[],
  results: Results,
): Promise<void> {
  const text = [
    '# Results',
    'Written by `npm run bench`; [README.md](README.md) says what is measured and how.',
    facts.map((fact) => `- ${fact}`).join('\n'),
    '![operations per second at 256 in flight](results.svg)',
    ...tables.flatMap(({ title, rows }) => [`## ${title}`, markdownOf(rows)]),
  ].join('\n\n');
  const file = fileURLToPath(new URL('RESULTS.md', import.meta.url));
  const style = await resolveConfig(file);
  await writeFile(file, await format(text, { ...style, parser: 'markdown' }));
  const atMost = results.loads.filter(({ inFlight }) => inFlight === 256);
  await writeFile(new URL('results.svg', import.meta.url), plotResults(results, atMost));
}

/** Columns of numbers to the right. */
function markdownOf([head = [], ...body]: Table['rows']): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell || ' ').join(' | ')} |`;
  const isNumber = (at: number) => body.every((row) => /^[\d–][^a-z]*$/.test(row[at] ?? ''));
  return [line(head), line(head.map((_, at) => (isNumber(at) ? '---:' : '---'))), ...body.map(line)].join(
    '\n',
  );
}
