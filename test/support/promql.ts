/** What an expression reads: a metric's name with its matchers, or without. */
export interface Selector {
  readonly metric: string;
  /** As it stands in the expression, e.g. `up{job="onceward"}`. */
  readonly text: string;
}

const words = new Set(['and', 'or', 'unless', 'bool', 'offset', 'inf', 'nan', 'start', 'end']);
const lists = /\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g;

/** The selectors of a PromQL expression; names of functions, labels and durations are none. */
export function selectorsOf(expression: string): readonly Selector[] {
  const selectors: Selector[] = [];
  // A label list looks like a call, and a duration ends in a letter.
  const rest = expression.replace(lists, ' ').replace(/\[[^\]]*\]|\boffset\s+-?\w+/g, ' ');
  for (const [text, metric = '', after = ''] of rest.matchAll(
    /(?<![\w:.])([a-zA-Z_:][\w:]*)\s*(\{(?:[^}"]|"(?:[^"\\]|\\.)*")*\}|\()?/g,
  )) {
    if (after === '(' || words.has(metric.toLowerCase())) continue;
    selectors.push({ metric, text: text.trim() });
  }
  return selectors;
}
