import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type pg from 'pg';
import type { ChargeRequest, ChargeResponse } from './payment-service.js';

const receipts = readFileSync(new URL('../../src/client/receipts.sql', import.meta.url), 'utf8');

/** The tables of the payment service: what was really charged, and the receipts that say for which key. */
export const ledgerSchema = `
  CREATE TABLE charge (
    charge_id uuid PRIMARY KEY,
    order_id text NOT NULL,
    amount_cents integer NOT NULL
  );
  ${receipts}`;

export async function insertCharge(
  tx: pg.PoolClient,
  { orderId, amountCents }: ChargeRequest,
): Promise<ChargeResponse> {
  const chargeId = randomUUID();
  await tx.query('INSERT INTO charge (charge_id, order_id, amount_cents) VALUES ($1, $2, $3)', [
    chargeId,
    orderId,
    amountCents,
  ]);
  return { chargeId };
}

/** What is done in it commits together, or not at all. */
export async function inTransaction<T>(pool: pg.Pool, run: (tx: pg.PoolClient) => Promise<T>): Promise<T> {
  const tx = await pool.connect();
  try {
    await tx.query('BEGIN');
    const value = await run(tx);
    await tx.query('COMMIT');
    return value;
  } catch (error) {
    await tx.query('ROLLBACK');
    throw error;
  } finally {
    tx.release();
  }
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
