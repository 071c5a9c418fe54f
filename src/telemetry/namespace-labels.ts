import { namedNamespaces, otherNamespaces } from '../core/sample.js';

/** Keeps the series few, however many namespaces there are: the first of them keep their names, the others share one. */
export class NamespaceLabels {
  readonly #named = new Set<string>();

  of(namespace: string): string {
    if (this.#named.has(namespace)) return namespace;
    if (namespace === otherNamespaces || this.#named.size === namedNamespaces) return otherNamespaces;
    this.#named.add(namespace);
    return namespace;
  }
}
