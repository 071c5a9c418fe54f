import {
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Attributes,
  type Span,
} from '@opentelemetry/api';
import { currentSpan } from './current-span.js';
import { attributeNames, links } from './names.js';
import { noTelemetry, type Telemetry } from './telemetry.js';

/** Where statements go. */
export interface Database {
  readonly name: string;
  /** Undefined for a Unix socket. */
  readonly address: string | undefined;
  readonly port: number | undefined;
}

/** A call that waits in a lane. */
export interface Rider {
  readonly span: Span | undefined;
  readonly submitTime: number;
}

export interface ObservedStatement {
  readonly name: string;
  readonly rows: number;
}

/** Runs a statement of one batch, observed. */
export type ObserveStatement = <T>(statement: ObservedStatement, run: () => Promise<T>) => Promise<T>;

export interface StatementObserver {
  /** A batch leaves its lane. */
  depart(lane: string, riders: readonly Rider[]): ObserveStatement;
}

/** Calls that one span links to; a batch has up to 256. */
const maxLinks = 32;

/** The call that submits now. */
export function boarding(): Rider {
  return { span: currentSpan(), submitTime: performance.now() };
}

const unobserved: ObserveStatement = (_, run) => run();

/** A CLIENT span and a duration for each statement; a queue time and a size for each batch. */
export function createStatementObserver(telemetry: Telemetry, database: Database): StatementObserver {
  if (telemetry === noTelemetry) return { depart: () => unobserved };
  const { tracer, instruments } = telemetry;
  const common = attributesOf(database);
  return {
    depart: (lane, riders) => {
      const [first] = riders;
      if (first !== undefined) {
        const ofLane = () => ({ [attributeNames.lane]: lane });
        instruments.laneQueueDuration.record((performance.now() - first.submitTime) / 1000, lane, ofLane);
        instruments.laneBatchSize.record(riders.length, lane, ofLane);
      }
      const spans = tracer === undefined ? [] : recordedSpans(riders);
      return async (statement, run) => {
        const attributes = () => ({ ...common, [attributeNames.dbOperationName]: statement.name });
        const span = spans[0] && tracer?.startSpan(...spanOf(statement, attributes(), database, spans));
        const startTime = performance.now();
        let failure: Attributes = {};
        try {
          return await run();
        } catch (error) {
          failure = failureOf(error);
          span?.setAttributes(failure).setStatus({ code: SpanStatusCode.ERROR });
          throw error;
        } finally {
          const series = `${statement.name} ${String(failure[attributeNames.errorType] ?? '')}`;
          const durationS = (performance.now() - startTime) / 1000;
          instruments.statementDuration.record(durationS, series, () => ({ ...attributes(), ...failure }));
          span?.end();
        }
      };
    },
  };
}

/**
 * The statement is a child of the first call in it and linked to the others. So it shows in one trace at least, and is
 * exported exactly when that call is: a span without a parent would be sampled by itself.
 */
function spanOf(
  { name, rows }: ObservedStatement,
  attributes: Attributes,
  database: Database,
  [first, ...others]: readonly Span[],
) {
  const options = {
    kind: SpanKind.CLIENT,
    attributes: rows > 1 ? { ...attributes, [attributeNames.dbOperationBatchSize]: rows } : attributes,
    links: others.slice(0, maxLinks).map((span) => ({
      context: span.spanContext(),
      attributes: { [attributeNames.link]: links.rider },
    })),
  };
  const parent = first === undefined ? ROOT_CONTEXT : trace.setSpan(ROOT_CONTEXT, first);
  return [`${name} ${database.name}`, options, parent] as const;
}

function recordedSpans(riders: readonly Rider[]): readonly Span[] {
  return riders.map(({ span }) => span).filter((span) => span?.isRecording() === true) as Span[];
}

function attributesOf({ name, address, port }: Database): Attributes {
  return {
    [attributeNames.dbSystemName]: 'postgresql',
    [attributeNames.dbNamespace]: name,
    ...(address === undefined ? {} : { [attributeNames.serverAddress]: address }),
    ...(port === undefined ? {} : { [attributeNames.serverPort]: port }),
  };
}

/** The SQLSTATE, or the code of the broken connection; never the message, which may quote a row. */
function failureOf(error: unknown): Attributes {
  const { code, name } = error as { readonly code?: unknown; readonly name?: unknown };
  if (typeof code !== 'string')
    return { [attributeNames.errorType]: typeof name === 'string' ? name : '_OTHER' };
  // Unlike EPIPE, every SQLSTATE has a digit.
  const isSqlState = /^(?=.*\d)[0-9A-Z]{5}$/.test(code);
  return {
    [attributeNames.errorType]: code,
    ...(isSqlState ? { [attributeNames.dbResponseStatusCode]: code } : {}),
  };
}
