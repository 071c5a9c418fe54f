/** One line of Prometheus' text format. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Reads `/metrics` of a coordinator, or of what has its HTTP port. */
export async function scrape({
  server,
}: {
  readonly server: { readonly httpPort: number };
}): Promise<readonly Sample[]> {
  const response = await fetch(`http://127.0.0.1:${server.httpPort}/metrics`);
  if (response.status !== 200) throw new Error(`GET /metrics: ${response.status}`);
  return samplesOf(await response.text());
}

/** Reads every line, so that one that is not well-formed fails. */
function samplesOf(text: string): readonly Sample[] {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return lines.map((line) => {
    const [, name, labels = '', value] = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (name === undefined || Number.isNaN(Number(value))) throw new Error(`not a sample: ${line}`);
    const pairs = [...labels.matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"(?:,|$)/g)];
    return {
      name,
      labels: Object.fromEntries(pairs.map(([, label, text]) => [label, text])) as Sample['labels'],
      value: Number(value),
    };
  });
}

/** The sum of the samples with these labels, whatever else they have. */
export function sumOf(
  samples: readonly Sample[],
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number {
  return samples
    .filter((sample) => sample.name === name)
    .filter((sample) => Object.entries(labels).every(([label, value]) => sample.labels[label] === value))
    .reduce((sum, { value }) => sum + value, 0);
}
