import type pg from 'pg';
import type { PreparedQuery, Value } from './statement.js';
import { valueParsers, type ParseValue, type QueryRow } from './values.js';

interface Column {
  readonly name: string;
  readonly parse: ParseValue;
}

/** Of each connection, what the statements that are prepared on it give. */
const prepared = new WeakMap<pg.Connection, Map<string, readonly Column[]>>();

/** Prepares the statement when the connection does not have it yet, and runs it. */
export function execute(client: pg.ClientBase, query: PreparedQuery): Promise<QueryRow[]> {
  return new Promise((resolve, reject) => {
    client.query(
      new Execution(query, (error, rows) => {
        if (error === null) resolve(rows);
        else reject(error);
      }),
    );
  });
}

/**
 * One execution, as node-postgres takes queries that are not its own. Its own asks and reads anew for each execution what the
 * columns are, and sends a batch in pieces that are copied twice.
 */
class Execution implements pg.Submittable {
  /** node-postgres notes under its name that it is prepared. */
  readonly name: string;
  readonly text: string;
  /** node-postgres puts its own in between, for its timeout. */
  callback: (error: Error | null, rows: QueryRow[]) => void;
  /** Made before node-postgres begins: it is not prepared for a query that throws. */
  readonly #message: Buffer;
  #connection: pg.Connection | undefined;
  #columns: readonly Column[] | undefined;
  readonly #rows: QueryRow[] = [];
  #unreadable: Error | undefined;

  constructor({ name, text, values }: PreparedQuery, callback: Execution['callback']) {
    this.name = name;
    this.text = text;
    this.callback = callback;
    this.#message = bindExecuteSync(name, values);
  }

  submit(connection: pg.Connection): void {
    const { stream } = connection;
    this.#connection = connection;
    this.#columns = prepared.get(connection)?.get(this.name);
    stream.cork();
    if (this.#columns === undefined) {
      connection.parse({ name: this.name, text: this.text, types: [] }, true);
      connection.describe({ type: 'S', name: this.name }, true);
    }
    stream.write(this.#message);
    stream.uncork();
  }

  /** Comes right after the statement was prepared, which it then stays whatever becomes of this execution. */
  handleRowDescription({ fields }: { readonly fields: readonly pg.FieldDef[] }): void {
    this.#columns = fields.map(({ name, dataTypeID }) => ({
      name,
      parse: valueParsers.get(dataTypeID) ?? asText,
    }));
    const connection = this.#connection as pg.Connection;
    const statements = prepared.get(connection) ?? new Map<string, readonly Column[]>();
    prepared.set(connection, statements.set(this.name, this.#columns));
  }

  handleDataRow({ fields }: { readonly fields: readonly (string | null)[] }): void {
    const row: QueryRow = {};
    try {
      const columns = this.#columns ?? [];
      for (let i = 0; i < columns.length; i += 1) {
        const { name, parse } = columns[i] as Column;
        const text = fields[i] as string | null;
        row[name] = text === null ? null : parse(text);
      }
    } catch (error) {
      this.#unreadable = error as Error;
    }
    this.#rows.push(row);
  }

  /** The number of rows is known. */
  handleCommandComplete(): void {}

  handleReadyForQuery(): void {
    this.callback(this.#unreadable ?? null, this.#rows);
  }

  handleError(error: Error): void {
    this.callback(error, []);
  }
}

function asText(text: string): string {
  return text;
}

const codes = { bind: 0x42, execute: 0x45, sync: 0x53 };
const formats = { text: 0, binary: 1 };
const absent = -1;
/** Execute of the unnamed portal to its end, then Sync. */
const executeSync = Buffer.from([codes.execute, 0, 0, 0, 9, 0, 0, 0, 0, 0, codes.sync, 0, 0, 0, 4]);

/** Bytes are sent as they are, all else as text. Columns come back as text. */
function bindExecuteSync(name: string, values: readonly Value[]): Buffer {
  const encoded = values.map(encodedValue);
  let bytes = 1 + 4 + 1 + (Buffer.byteLength(name) + 1) + 2 + 2 + 2;
  for (const value of encoded) bytes += 2 + 4 + bytesOf(value);
  const message = Buffer.allocUnsafe(bytes + executeSync.length);
  message[0] = codes.bind;
  let at = message.writeInt32BE(bytes - 1, 1);
  // The unnamed portal.
  message[at] = 0;
  at += 1 + message.write(name, at + 1);
  message[at] = 0;
  at = message.writeInt16BE(encoded.length, at + 1);
  for (const value of encoded) {
    at = message.writeInt16BE(value instanceof Uint8Array ? formats.binary : formats.text, at);
  }
  at = message.writeInt16BE(encoded.length, at);
  for (const value of encoded) {
    const length = bytesOf(value);
    at = message.writeInt32BE(value === null ? absent : length, at);
    if (value instanceof Uint8Array) message.set(value, at);
    else if (value !== null) message.write(value, at);
    at += length;
  }
  at = message.writeInt16BE(0, at);
  message.set(executeSync, at);
  return message;
}

function bytesOf(value: Uint8Array | string | null): number {
  if (value === null) return 0;
  return value instanceof Uint8Array ? value.length : Buffer.byteLength(value);
}

function encodedValue(value: Value): Uint8Array | string | null {
  if (value === null || value instanceof Uint8Array || typeof value === 'string') return value;
  return typeof value === 'object' ? `{${value.join(',')}}` : String(value);
}
