/** The ledger, a process of its own: one row a posting. */
import { currentOperation, withReceipt } from '../../src/index.js';
import { handler, type PostRequest } from './example.js';
import { inTransaction } from '../demo/ledger.js';
import { openPool, reportSpans, serve, serviceArguments } from './service.js';

reportSpans();
const given = serviceArguments();
const pool = openPool(given);

serve('Ledger', 'ledger', given, {
  Post: handler(({ order, account, cents }: PostRequest) =>
    inTransaction(pool, (tx) =>
      withReceipt(tx, currentOperation(), async () => {
        const what = `${account} ${cents}`;
        await tx.query('INSERT INTO effect (order_id, what) VALUES ($1, $2)', [order, what]);
        return { entry: `${order} ${account}` };
      }),
    ),
  ),
});
