import type { EntrantName } from './entrants.js';
import { loadName, type Load } from './load.js';
import { median, type Results } from './results.js';

const width = 760;
const left = 180;
const right = 90;
const rowHeight = 18;
const titleHeight = 34;

/** An SVG with a panel for each load: medians as bars, the least and the most of the rounds as whiskers. */
export function plotResults(results: Results, loads: readonly Load[]): string {
  const parts: string[] = [];
  let top = 8;
  for (const load of loads) {
    const names = results.names.filter((name) => results.of(name, load).length > 0);
    parts.push(...panel(results, load, names, top));
    top += titleHeight + names.length * rowHeight;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${top + 8}" font-family="sans-serif" font-size="12">
<rect width="${width}" height="${top + 8}" fill="#fff"/>
${parts.join('\n')}
</svg>
`;
}

function panel(results: Results, load: Load, names: readonly EntrantName[], top: number): string[] {
  const rounds = names.map((name) => results.of(name, load).map(({ perSecond }) => perSecond));
  const most = Math.max(...rounds.flat());
  const x = (rate: number) => Math.round((left + (rate / most) * (width - left - right)) * 10) / 10;
  const rows = names.flatMap((name, i) => {
    const rates = rounds[i] ?? [];
    const [y, middle] = [top + titleHeight + i * rowHeight, median(rates)];
    const [least, highest] = [x(Math.min(...rates)), x(Math.max(...rates))];
    const ours = name === 'sdk' || name === 'unary';
    return [
      `<text x="${left - 8}" y="${y + 10}" text-anchor="end">${name}</text>`,
      `<rect x="${left}" y="${y}" width="${Math.max(1, Math.round(x(middle) - left))}" height="13" fill="${ours ? '#1f6feb' : '#8c959f'}"/>`,
      `<line x1="${least}" x2="${highest}" y1="${y + 6.5}" y2="${y + 6.5}" stroke="#24292f"/>`,
      `<text x="${highest + 6}" y="${y + 10}">${Math.round(middle).toLocaleString('en')}/s</text>`,
    ];
  });
  return [`<text x="8" y="${top + 22}" font-weight="bold">${loadName(load)}</text>`, ...rows];
}
