import { limits } from './limits.js';
import type { Violations } from './violations.js';

/** Labels are for people: short names, printable values. */
export function checkLabels(labels: Readonly<Record<string, string>>, violations: Violations): void {
  const entries = Object.entries(labels);
  if (entries.length > limits.labelCount) {
    violations.add('labels', `must have at most ${limits.labelCount} entries, has ${entries.length}`);
  }
  for (const [name, value] of entries) {
    if (!/^[a-z0-9_.-]{1,63}$/.test(name)) violations.add('labels', 'names must match [a-z0-9_.-]{1,63}');
    // U+FFFD is what undecodable bytes become; it is refused so that distinct bytes never read as one label.
    else if (/[\p{Cc}\ufffd]/u.test(value))
      violations.add(`labels.${name}`, 'must have no control characters');
    else violations.bytes(`labels.${name}`, Buffer.byteLength(value), 0, limits.labelValueBytes);
  }
}
