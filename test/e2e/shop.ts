/** The shop, a process of its own: charges an order, then writes it down. */
import { currentOperation, withReceipt } from '../../src/index.js';
import { handler, remote, type Charged, type ChargeRequest, type PlaceOrderRequest } from './example.js';
import { inTransaction } from '../demo/ledger.js';
import { openPool, reportSpans, serve, serviceArguments } from './service.js';

reportSpans();
const given = serviceArguments();
const pool = openPool(given);
const charge = remote<ChargeRequest, Charged>(given.next, 'Payment', 'Charge');

serve('Shop', 'shop', given, {
  PlaceOrder: handler(async ({ order, cents }: PlaceOrderRequest) => {
    const { charge: id } = await charge({ order, cents });
    return inTransaction(pool, (tx) =>
      withReceipt(tx, currentOperation(), async () => {
        await tx.query('INSERT INTO effect (order_id, what) VALUES ($1, $2)', [order, id]);
        return { order, charge: id };
      }),
    );
  }),
});
