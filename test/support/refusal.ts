import { OncewardError } from '../../src/core/errors.js';
import { Violations } from '../../src/core/violations.js';

/** What a check finds wrong, as the caller reads it; empty when nothing is. */
export function refusalOf(check: (violations: Violations) => unknown): string {
  const violations = new Violations();
  check(violations);
  try {
    violations.throwIfAny();
    return '';
  } catch (error) {
    if (error instanceof OncewardError) return error.message;
    throw error;
  }
}
