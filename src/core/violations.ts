import { OncewardError, type FieldViolation } from './errors.js';
import { limits } from './limits.js';

/** Printable ASCII without the space: what keys, operations and ids are made of. */
const visibleAscii = /^[\x21-\x7e]*$/;

/** Violations told of one request: with their text they fit into the 8 KiB of trailers that every peer accepts. */
const maxTold = 16;

/** Collects what is wrong with a request, so that a caller learns all of it at once. */
export class Violations {
  readonly #found: FieldViolation[] = [];
  #untold = 0;
  #keyInvalid = false;

  add(field: string, description: string): void {
    this.#keyInvalid ||= field.endsWith('ref.key');
    if (this.#found.length < maxTold) this.#found.push({ field, description });
    else this.#untold += 1;
  }

  /** A string of visible ASCII with a length in [min, max]. */
  ascii(field: string, value: string, min: number, max: number): void {
    if (value.length < min || value.length > max) {
      this.add(field, `must have ${min} to ${max} characters, has ${value.length}`);
    } else if (!visibleAscii.test(value)) {
      this.add(field, 'must be visible ASCII characters (0x21 to 0x7e) only');
    }
  }

  namespace(field: string, value: string): void {
    const max = limits.namespaceLength;
    if (value.length < 1 || value.length > max) {
      this.add(field, `must have 1 to ${max} characters, has ${value.length}`);
    } else if (!/^[a-z0-9][a-z0-9._-]*$/.test(value)) {
      this.add(field, 'must match [a-z0-9][a-z0-9._-]*');
    }
  }

  bytes(field: string, length: number, min: number, max: number): void {
    if (length < min || length > max) this.add(field, `must have ${min} to ${max} bytes, has ${length}`);
  }

  range(field: string, value: number, min: number, max: number, unit = ''): void {
    if (!(value >= min && value <= max)) this.add(field, `must be ${min}${unit} to ${max}${unit}`);
  }

  /** Throws what was found; KEY_INVALID when the key itself is bad, so that its owner looks at the key first. */
  throwIfAny(): void {
    if (this.#found.length === 0) return;
    const reason = this.#keyInvalid ? 'KEY_INVALID' : 'REQUEST_INVALID';
    const told = this.#found.map((v) => `${v.field} ${v.description}`).join('; ');
    const text = this.#untold === 0 ? told : `${told}; and ${this.#untold} more`;
    throw new OncewardError(reason, text, { violations: this.#found });
  }
}
