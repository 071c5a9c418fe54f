/** A database handle: of `pg`, or made of any other client by one function. */
export interface ReceiptHandle {
  /** Answers the rows, alone or as `rows`. */
  query(
    text: string,
    values: unknown[],
  ): PromiseLike<{ readonly rows: readonly unknown[] } | readonly unknown[]>;
}

export async function rowsOf<Row>(
  db: ReceiptHandle,
  text: string,
  values: unknown[],
): Promise<readonly Row[]> {
  const answer = await db.query(text, values);
  return ('rows' in answer ? answer.rows : answer) as readonly Row[];
}
