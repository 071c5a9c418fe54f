import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import type { ChargeRequest, ChargeResponse } from './payment-service.js';

/** The tables of the payment service: what was really charged, and the receipts that say for which key. */
export const ledgerSchema = `
  CREATE TABLE charge (
    charge_id uuid PRIMARY KEY,
    order_id text NOT NULL,
    amount_cents integer NOT NULL
  );
  CREATE TABLE receipt (
    namespace text NOT NULL,
    scope text NOT NULL,
    key text NOT NULL,
    fencing_token bigint NOT NULL,
    result text NOT NULL,
    PRIMARY KEY (namespace, scope, key)
  );
`;

export interface Receipt {
  readonly namespace: string;
  readonly key: string;
  readonly fencingToken: bigint;
}

/** Charges. With a receipt both commit together or not at all. */
export async function charge(
  pool: pg.Pool,
  { orderId, amountCents }: ChargeRequest,
  receipt?: Receipt,
): Promise<ChargeResponse> {
  const response = { chargeId: randomUUID() };
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    // First, so that whoever comes second fails before it charges.
    if (receipt !== undefined) await writeReceipt(client, receipt, response);
    await client.query('INSERT INTO charge (charge_id, order_id, amount_cents) VALUES ($1, $2, $3)', [
      response.chargeId,
      orderId,
      amountCents,
    ]);
    await client.query('COMMIT');
    return response;
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  } finally {
    client.release();
  }
}

/** What an earlier attempt for this key has committed, if any. */
export async function findReceipt(
  pool: pg.Pool,
  { namespace, key }: Receipt,
): Promise<ChargeResponse | undefined> {
  const { rows } = await pool.query<{ result: string }>(
    "SELECT result FROM receipt WHERE namespace = $1 AND scope = '' AND key = $2",
    [namespace, key],
  );
  const [row] = rows;
  return row && (JSON.parse(row.result) as ChargeResponse);
}

/** Whether another attempt committed its receipt first: ours was a zombie's, and nothing of it happened. */
export function isReceiptTaken(error: unknown): boolean {
  return (error as { readonly code?: unknown }).code === '23505';
}

async function writeReceipt(
  client: pg.PoolClient,
  receipt: Receipt,
  response: ChargeResponse,
): Promise<void> {
  await client.query(
    "INSERT INTO receipt (namespace, scope, key, fencing_token, result) VALUES ($1, '', $2, $3, $4)",
    [receipt.namespace, receipt.key, receipt.fencingToken, JSON.stringify(response)],
  );
}

export interface LedgerCount {
  readonly charges: number;
  readonly doubleCharges: number;
  readonly ordersCharged: number;
}

export async function countLedger(client: pg.Client): Promise<LedgerCount> {
  const { rows } = await client.query<{ charges: number; orders: number }>(
    'SELECT count(*)::int AS charges, count(DISTINCT order_id)::int AS orders FROM charge',
  );
  const { charges = 0, orders = 0 } = rows[0] ?? {};
  return { charges, doubleCharges: charges - orders, ordersCharged: orders };
}
