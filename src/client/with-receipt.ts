import { jsonCodec, type Codec } from './codec.js';
import type { Operation } from './operation.js';
import { rowsOf, type ReceiptHandle } from './receipt-handle.js';

/**
 * Does something in the service's own Postgres exactly once: the receipt commits together with the business rows, or not at all. When the
 * receipt is there already, the function does not run, and what it returned then is given back: so a crash between that commit
 * and the storing of the result is harmless. Of two executions at once the second waits for the first one's commit. `db` must be in
 * a transaction, which this neither begins nor commits: `receipts.sql`, which makes the table, refuses to commit a receipt whose
 * function has not returned.
 */
export async function withReceipt<T>(
  db: ReceiptHandle,
  operation: Pick<Operation, 'ref' | 'fencingToken'> | undefined,
  run: () => Promise<T>,
  codec: Codec<T> = jsonCodec(),
): Promise<T> {
  if (operation === undefined)
    throw new Error('withReceipt needs an operation: it was called outside of one');
  const { ref, fencingToken } = operation;
  const identity = [ref.namespace, ref.scope, ref.key];
  const written = await rowsOf(db, writeReceipt, [...identity, String(fencingToken)]);
  if (written.length === 0) {
    const [found] = await rowsOf<{ result: Uint8Array | null }>(db, readReceipt, identity);
    if (found?.result) return decoded(found.result, codec);
    throw new Error(
      'there is a receipt of this operation whose function has not returned in this transaction',
    );
  }
  const value = await run();
  const stored = await rowsOf(db, keepResult, [...identity, encoded(value, codec)]);
  if (stored.length === 0) throw new Error('the function ended the transaction that its receipt belongs to');
  return value;
}

const writeReceipt = `
  INSERT INTO onceward_receipt (namespace, scope, key, fencing_token) VALUES ($1, $2, $3, $4)
  ON CONFLICT DO NOTHING
  RETURNING 1`;
const readReceipt = `
  SELECT result FROM onceward_receipt WHERE namespace = $1 AND scope = $2 AND key = $3`;
const keepResult = `
  UPDATE onceward_receipt SET result = $4 WHERE namespace = $1 AND scope = $2 AND key = $3
  RETURNING 1`;

/** A byte in front tells no value from an empty one. */
function encoded<T>(value: T, codec: Codec<T>): Buffer {
  const payload = codec.encode(value);
  return payload === undefined ? Buffer.from([0]) : Buffer.concat([Buffer.from([1]), payload]);
}

function decoded<T>(stored: Uint8Array, codec: Codec<T>): T {
  return codec.decode(stored[0] === 0 ? undefined : stored.subarray(1));
}
