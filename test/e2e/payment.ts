/** The payment service, a process of its own: charges a card, then books both sides of it at once. */
import { randomUUID } from 'node:crypto';
import { currentOperation, withReceipt } from '../../src/index.js';
import { handler, remote, type ChargeRequest, type Posted, type PostRequest } from './example.js';
import { inTransaction } from '../demo/ledger.js';
import { openPool, reportSpans, serve, serviceArguments } from './service.js';

reportSpans();
const given = serviceArguments();
const pool = openPool(given);
const post = remote<PostRequest, Posted>(given.next, 'Ledger', 'Post');

serve('Payment', 'payments', given, {
  Charge: handler(async ({ order, cents }: ChargeRequest) => {
    const charged = await inTransaction(pool, (tx) =>
      withReceipt(tx, currentOperation(), async () => {
        const charge = randomUUID();
        await tx.query('INSERT INTO effect (order_id, what) VALUES ($1, $2)', [order, charge]);
        return { charge };
      }),
    );
    const sides: PostRequest[] = [
      { order, account: 'customer', cents: -cents },
      { order, account: 'merchant', cents },
    ];
    // In any order: their keys come from what they say.
    if (Math.random() < 0.5) sides.reverse();
    await Promise.all(sides.map((side) => post(side)));
    return charged;
  }),
});
