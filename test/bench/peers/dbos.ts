/** DBOS: a workflow of one step, whose id is the key, in the service's own process, on a database of its own of the same Postgres. */
import { DBOS } from '@dbos-inc/dbos-sdk';
import { takeOrders } from '../contestant.js';
import { sample } from '../sample.js';

const [url = ''] = process.argv.slice(2);
const body = Buffer.from(sample.result.payload ?? []).toString();
const executed = new Set<string>();
const charge = DBOS.registerWorkflow(
  (key: string) =>
    DBOS.runStep(
      () => {
        executed.add(key);
        return Promise.resolve(body);
      },
      { name: 'charge' },
    ),
  { name: 'charge' },
);
// As many connections as the hand-written pool has.
DBOS.setConfig({ name: 'bench', systemDatabaseUrl: url, systemDatabasePoolSize: 20, logLevel: 'error' });
// Its use of node-postgres warns.
process.noDeprecation = true;
await DBOS.launch();

takeOrders(async (key) => {
  const handle = await DBOS.startWorkflow(charge, { workflowID: key })(key);
  if ((await handle.getResult()) !== body) throw new Error('another result came back');
  return executed.delete(key) ? 'executed' : 'replayed';
});
