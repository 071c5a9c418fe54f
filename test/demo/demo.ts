/**
 * `npm run demo`: a shop sells through a lossy network and a payment service that is killed again and again, once without
 * Onceward and once with it. What counts is the payment ledger, not what anybody was told.
 */
import { parseArgs } from 'node:util';
import { startScratchPostgres } from '../support/scratch-postgres.js';
import { table } from '../support/table.js';
import { runShop, type Progress, type RunCount } from './run.js';

const help = `npm run demo -- [options]

A shop, a payment service and a coordinator as real processes; answers are lost, processes are killed.

  --orders <n>  orders of each run, at least 20 (default 1000)
  --seed <n>    of the network's faults (default: random)
  --help        this text

Exit code 1 if the run with Onceward charged an order twice or lost one, or if the run without it went so well that
nothing was shown.
`;

const { values } = readArguments();
const orders = Number(values.orders);
const seed = Number(values.seed);
if (values.help || !(Number.isInteger(orders) && orders >= 20) || !Number.isInteger(seed)) {
  process.stdout.write(help);
  process.exitCode = values.help ? 0 : 2;
} else {
  await demo();
}

function readArguments() {
  try {
    return parseArgs({
      options: {
        orders: { type: 'string', default: '1000' },
        seed: { type: 'string', default: String(Math.trunc(Math.random() * 2 ** 31)) },
        help: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    process.stderr.write(`error: ${(error as Error).message}\nThe options: npm run demo -- --help\n`);
    process.exit(2);
  }
}

async function demo(): Promise<void> {
  const startTime = performance.now();
  process.stdout.write(`${orders} orders, twice; seed ${seed}\n`);
  const postgres = await startScratchPostgres({ max_connections: '200' });
  // Children end with the demo: each watches its channel to it.
  process.once('SIGINT', () => {
    void postgres.stop().finally(() => process.exit(130));
  });
  try {
    const run = (withOnceward: boolean, label: string) =>
      runShop({ withOnceward, orders, seed, postgresUrl: postgres.url, onProgress: progressOf(label) });
    const without = await run(false, 'without Onceward');
    const withIt = await run(true, 'with Onceward');
    process.stdout.write(`\n\n${tableOf(without, withIt)}\n\n`);
    process.exitCode = judge(without, withIt);
    process.stdout.write(`${((performance.now() - startTime) / 1000).toFixed(0)} s\n`);
  } finally {
    await postgres.stop();
  }
}

/** One line that is written over on a terminal, else a line now and then. */
function progressOf(label: string): (progress: Progress) => void {
  let nextLine = 0;
  return ({ done, kills }) => {
    const line = `${label}: ${done} of ${orders} orders, payment service killed ${kills} times`;
    if (process.stdout.isTTY) {
      process.stdout.write(`\r${line}${done === orders ? '\n' : ''}`);
    } else if (done >= nextLine) {
      process.stdout.write(`${line}\n`);
      nextLine = done + Math.max(10, orders / 10);
    }
  };
}

function tableOf(without: RunCount, withIt: RunCount): string {
  const row = (name: string, value: (count: RunCount) => number | undefined) => [
    name,
    String(value(without) ?? '–'),
    String(value(withIt) ?? '–'),
  ];
  return table([
    ['', 'without', 'with Onceward'],
    row('orders', () => orders),
    row('charges made', ({ charges }) => charges),
    row('double charges', ({ doubleCharges }) => doubleCharges),
    row('lost orders', ({ lostOrders }) => lostOrders),
    row('replays served', ({ replays }) => replays),
    row('waits', ({ waits }) => waits),
    row('takeovers', ({ takeovers }) => takeovers),
    row('calls the shop made', ({ tries }) => tries),
    row('requests or answers lost', ({ faults }) => faults),
    row('payment service killed', ({ kills }) => kills),
  ]);
}

function judge(without: RunCount, withIt: RunCount): number {
  if (withIt.doubleCharges > 0 || withIt.lostOrders > 0) {
    process.stdout.write('With Onceward an order was charged twice or lost: that is a bug.\n');
    return 1;
  }
  if (without.doubleCharges === 0) {
    process.stdout.write('Without Onceward nothing went wrong either: this run shows nothing.\n');
    return 1;
  }
  process.stdout.write('Every order was charged once with Onceward.\n');
  return 0;
}
