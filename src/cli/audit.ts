import type { Command } from 'commander';
import { AuditEntry } from '../gen/onceward/v1/admin.js';
import { wholeNumber } from './arguments.js';
import { clientCommand, withCoordinator, type ClientOptions } from './client-command.js';
import type { Io } from './io.js';
import { pages } from './pages.js';
import { instant, printJson, printTable } from './print.js';
import { refText } from './print-record.js';

export function auditCommand(io: Io): Command {
  return clientCommand('audit', 'Read operator actions, newest first.', 'onceward audit --limit 20')
    .option('--namespace <name>', 'only this namespace (default: all)')
    .option('--limit <n>', 'at most so many', wholeNumber(1), 100)
    .action((options: AuditOptions) => audit(io, options));
}

interface AuditOptions extends ClientOptions {
  readonly namespace?: string;
  readonly limit: number;
}

async function audit(io: Io, options: AuditOptions): Promise<void> {
  await withCoordinator(io, options, async ({ admin }) => {
    const read = async (pageSize: number, pageToken: string) => {
      const answer = await admin.listAudit({ namespace: options.namespace ?? '', pageSize, pageToken });
      return { items: answer.entries, nextPageToken: answer.nextPageToken };
    };
    const gathered: AuditEntry[] = [];
    for await (const page of pages(options.limit, read)) {
      if (options.json) for (const entry of page) printJson(io, AuditEntry.toJSON(entry));
      else gathered.push(...page);
    }
    if (!options.json) {
      printTable(
        io,
        ['REVISION', 'TIME', 'PRINCIPAL', 'ACTION', 'ON', 'REASON', 'DETAIL'],
        gathered.map(rowOf),
      );
    }
  });
}

function rowOf({ revision, time, principal, action, ref, reason, detail }: AuditEntry): string[] {
  const on = ref?.key ? refText(ref) : (ref?.namespace ?? '-');
  return [String(revision), instant(time), principal, action, on, reason || '-', detail];
}
