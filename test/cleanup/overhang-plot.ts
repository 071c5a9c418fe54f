/** Expired rows by live ones, at one load. */
export interface PlottedLoad {
  readonly load: number;
  readonly mean: number;
  readonly most: number;
}

const width = 640;
const height = 360;
const left = 64;
const right = 16;
const top = 16;
const bottom = 48;
const loads = [0.01, 1.5] as const;
const shares = [0, 0.25] as const;

/** An SVG of the overhang over the load: what is derived as lines, what was simulated as dots. */
export function plotOverhang(
  simulated: readonly PlottedLoad[],
  { threshold, arrived }: { readonly threshold: number; readonly arrived: number },
): string {
  const bound = threshold / (1 - threshold) + arrived;
  const derived = Array.from({ length: 41 }, (_, i) => loads[0] * (threshold / loads[0]) ** (i / 40));
  // In the mean over time, half a tick before the next.
  const points = derived.map(
    (load) => `${x(load)},${y(Math.max(arrived / 2, load / (1 - load) - arrived / 2))}`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">
<rect width="${width}" height="${height}" fill="#fff"/>
${grid().join('\n')}
<polyline points="${points.join(' ')}" fill="none" stroke="#1f6feb" stroke-width="2"/>
<line x1="${x(loads[0])}" x2="${x(loads[1])}" y1="${y(bound)}" y2="${y(bound)}" stroke="#cf222e" stroke-width="2"/>
<line x1="${x(threshold)}" x2="${x(threshold)}" y1="${y(shares[0])}" y2="${y(shares[1])}" stroke="#57606a" stroke-dasharray="4 4"/>
${simulated.map(({ load, most }) => dot(load, most, '#fff')).join('\n')}
${simulated.map(({ load, mean }) => dot(load, mean, '#1f6feb')).join('\n')}
<text x="${x(0.0108)}" y="${y(bound) - 6}" fill="#cf222e">bound of the mean</text>
<text x="${x(0.0108)}" y="${y(0.045)}" fill="#1f6feb">derived, one batch a tick</text>
<text x="${x(threshold) + 6}" y="${y(0.004)}" fill="#57606a">threshold</text>
<text x="${x(0.0108)}" y="${y(0.235)}">● mean, ○ most, simulated</text>
<text x="${(left + width - right) / 2}" y="${height - 10}" text-anchor="middle">load: rows that come between two ticks / rows that one batch looks at</text>
<text transform="translate(14 ${(top + height - bottom) / 2}) rotate(-90)" text-anchor="middle">expired rows / live rows</text>
</svg>
`;
}

function grid(): readonly string[] {
  const marks = [];
  for (const load of [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1]) {
    marks.push(
      `<line x1="${x(load)}" x2="${x(load)}" y1="${y(shares[0])}" y2="${y(shares[1])}" stroke="#eaeef2"/>`,
      `<text x="${x(load)}" y="${height - bottom + 16}" text-anchor="middle">${load}</text>`,
    );
  }
  for (const share of [0, 0.05, 0.1, 0.15, 0.2, 0.25]) {
    marks.push(
      `<line x1="${x(loads[0])}" x2="${x(loads[1])}" y1="${y(share)}" y2="${y(share)}" stroke="#eaeef2"/>`,
      `<text x="${left - 6}" y="${y(share) + 4}" text-anchor="end">${Math.round(share * 100)} %</text>`,
    );
  }
  return marks;
}

function dot(load: number, share: number, fill: string): string {
  return `<circle cx="${x(load)}" cy="${y(share)}" r="4" fill="${fill}" stroke="#1f6feb" stroke-width="1.5"/>`;
}

/** Logarithmic. */
function x(load: number): number {
  const share = Math.log(load / loads[0]) / Math.log(loads[1] / loads[0]);
  return round(left + share * (width - left - right));
}

function y(share: number): number {
  return round(height - bottom - ((share - shares[0]) / (shares[1] - shares[0])) * (height - top - bottom));
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
