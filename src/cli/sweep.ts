import type { Command } from 'commander';
import { clientCommand, withCoordinator, type ClientOptions } from './client-command.js';
import type { Io } from './io.js';
import { printJson } from './print.js';

export function sweepCommand(io: Io): Command {
  return clientCommand(
    'sweep',
    'Remove expired records and strip expired results now, instead of when the sampler comes by. Changes no answer.',
    'onceward sweep --dry-run',
  )
    .option('--namespace <name>', 'only of this namespace (default: all)')
    .option('--dry-run', 'only count')
    .action((options: SweepOptions) => sweep(io, options));
}

interface SweepOptions extends ClientOptions {
  readonly namespace?: string;
  readonly dryRun?: true;
}

async function sweep(io: Io, options: SweepOptions): Promise<void> {
  const { namespace = '', dryRun = false, json } = options;
  await withCoordinator(io, options, async ({ admin }) => {
    const sum = { removed: 0n, stripped: 0n };
    let pageToken = '';
    do {
      const { removed, stripped, sweptPages, totalPages, nextPageToken } = await admin.sweep({
        namespace,
        dryRun,
        pageToken,
      });
      sum.removed += removed;
      sum.stripped += stripped;
      pageToken = nextPageToken;
      showProgress(io, Number(sweptPages) / Math.max(1, Number(totalPages)), sum.removed);
    } while (pageToken !== '');
    clearProgress(io);
    const { removed, stripped } = sum;
    if (json) printJson(io, { removed: String(removed), stripped: String(stripped), dryRun });
    else if (dryRun) io.stdout.write(`records to remove: ${removed}, results to strip: ${stripped}\n`);
    else io.stdout.write(`records removed: ${removed}, results stripped: ${stripped}\n`);
  });
}

const barWidth = 30;

/** On the terminal only, over the line before. */
function showProgress(io: Io, share: number, removed: bigint): void {
  if (!io.isTTY) return;
  const done = Math.round(Math.min(1, share) * barWidth);
  const bar = '█'.repeat(done) + '░'.repeat(barWidth - done);
  io.stderr.write(`\r${bar} ${String(Math.floor(share * 100)).padStart(3)} %  ${removed} expired`);
}

function clearProgress(io: Io): void {
  if (io.isTTY) io.stderr.write('\r\x1b[K');
}
