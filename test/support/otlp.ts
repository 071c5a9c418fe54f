import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

/** What a collector reads out of the bodies it is sent: OTLP by hand, as far as the tests look. */

export interface ExportedLink {
  readonly traceId: string;
  readonly spanId: string;
  readonly attributes: Attributes;
}

export interface ExportedSpan {
  readonly name: string;
  /** 2 is SERVER, 3 is CLIENT. */
  readonly kind: number;
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for the first of a trace. */
  readonly parentSpanId: string;
  readonly traceState: string;
  readonly attributes: Attributes;
  readonly links: readonly ExportedLink[];
  /** 2 is ERROR. */
  readonly statusCode: number;
  readonly resource: Attributes;
}

export interface ExportedMetric {
  readonly name: string;
  readonly unit: string;
}

export type Attributes = Readonly<Record<string, string | number | boolean>>;

type Fields = ReadonlyMap<number, readonly (Uint8Array | bigint)[]>;

export function spansOf(body: Uint8Array): readonly ExportedSpan[] {
  return messagesOf(fieldsOf(body), 1).flatMap((resourceSpans) => {
    const resource = messagesOf(resourceSpans, 1).map((fields) => attributesOf(fields, 1))[0] ?? {};
    return messagesOf(resourceSpans, 2).flatMap((scopeSpans) =>
      messagesOf(scopeSpans, 2).map((span) => spanOf(span, resource)),
    );
  });
}

export function metricsOf(body: Uint8Array): readonly ExportedMetric[] {
  return messagesOf(fieldsOf(body), 1)
    .flatMap((resourceMetrics) => messagesOf(resourceMetrics, 2))
    .flatMap((scopeMetrics) => messagesOf(scopeMetrics, 2))
    .map((metric) => ({ name: textOf(metric, 1), unit: textOf(metric, 3) }));
}

function spanOf(span: Fields, resource: Attributes): ExportedSpan {
  return {
    name: textOf(span, 5),
    kind: numberOf(span, 6),
    traceId: hexOf(span, 1),
    spanId: hexOf(span, 2),
    parentSpanId: hexOf(span, 4),
    traceState: textOf(span, 3),
    attributes: attributesOf(span, 9),
    links: messagesOf(span, 13).map((link) => ({
      traceId: hexOf(link, 1),
      spanId: hexOf(link, 2),
      attributes: attributesOf(link, 4),
    })),
    statusCode: messagesOf(span, 15).map((status) => numberOf(status, 3))[0] ?? 0,
    resource,
  };
}

/** A list of KeyValue. */
function attributesOf(fields: Fields, number: number): Attributes {
  return Object.fromEntries(
    messagesOf(fields, number).map((pair): [string, string | number | boolean] => {
      const [value = new Map() as Fields] = messagesOf(pair, 2);
      if (value.has(1)) return [textOf(pair, 1), textOf(value, 1)];
      if (value.has(2)) return [textOf(pair, 1), numberOf(value, 2) === 1];
      if (value.has(3)) return [textOf(pair, 1), numberOf(value, 3)];
      throw new Error(`an attribute of a kind that is not expected: ${textOf(pair, 1)}`);
    }),
  );
}

function fieldsOf(bytes: Uint8Array): Fields {
  const reader = new BinaryReader(bytes);
  const fields = new Map<number, (Uint8Array | bigint)[]>();
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    const values = fields.get(number) ?? [];
    fields.set(number, values);
    if (wireType === WireType.LengthDelimited) values.push(reader.bytes());
    else if (wireType === WireType.Varint) values.push(BigInt(reader.uint64()));
    else reader.skip(wireType, number);
  }
  return fields;
}

function messagesOf(fields: Fields, number: number): readonly Fields[] {
  return (fields.get(number) ?? []).map((value) => fieldsOf(value as Uint8Array));
}

function textOf(fields: Fields, number: number): string {
  return Buffer.from((fields.get(number)?.[0] ?? []) as Uint8Array).toString();
}

function hexOf(fields: Fields, number: number): string {
  return Buffer.from((fields.get(number)?.[0] ?? []) as Uint8Array).toString('hex');
}

function numberOf(fields: Fields, number: number): number {
  return Number(fields.get(number)?.[0] ?? 0);
}
