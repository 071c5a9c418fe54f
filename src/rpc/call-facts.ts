import { identityHash, identityOf } from '../core/key.js';
import type { BeginResponse } from '../gen/onceward/v1/coordinator.js';
import type { KeyRef } from '../gen/onceward/v1/record.js';
import type { CallFacts } from '../telemetry/call-observer.js';
import { attributeNames } from '../telemetry/names.js';
import { spanContextOf } from '../telemetry/trace-context.js';

/** The fields of all requests and answers that a span tells something of. */
interface AnyRequest {
  readonly ref?: KeyRef | undefined;
  /** A name, or a whole namespace. */
  readonly namespace?: string | { readonly name: string } | undefined;
  readonly name?: string;
}
interface AnyResponse extends Partial<Pick<BeginResponse, 'outcome'>> {
  readonly already?: boolean;
}

export type CallFactsOf = (request: object, response: object | undefined) => CallFacts;

/**
 * What the span of a call says besides method and status; never a key, scope, payload or token. A namespace that was not
 * declared is none: it may be anything, put into the wrong field.
 */
export function callFactsWith(knowsNamespace: (name: string) => boolean): CallFactsOf {
  return (request, response) => {
    const { ref }: AnyRequest = request;
    const { outcome, already }: AnyResponse = response ?? {};
    const namespace = ref?.namespace ?? nameOf(request);
    const name = outcome === undefined ? finishOf(already) : snakeCase(outcome.$case);
    const attempt = outcome && attemptOf(outcome);
    return {
      attributes: {
        ...(namespace !== undefined && knowsNamespace(namespace)
          ? { [attributeNames.namespace]: namespace }
          : {}),
        ...(ref === undefined ? {} : { [attributeNames.keyHash]: identityHash(identityOf(ref)) }),
        ...(name === undefined ? {} : { [attributeNames.outcome]: name }),
        ...(attempt === undefined ? {} : { [attributeNames.attempt]: attempt }),
      },
      original: outcome?.$case === 'replay' ? spanContextOf(outcome.value.traceparent) : undefined,
    };
  };
}

function nameOf({ namespace, name }: AnyRequest): string | undefined {
  return typeof namespace === 'object' ? namespace.name : (namespace ?? name);
}

function finishOf(already: boolean | undefined): string | undefined {
  if (already === undefined) return undefined;
  return already ? 'already' : 'done';
}

function attemptOf(outcome: NonNullable<BeginResponse['outcome']>): number | undefined {
  switch (outcome.$case) {
    case 'execute':
    case 'inProgress':
    case 'indeterminate':
      return outcome.value.attempt;
    case 'replay':
      return outcome.value.attempts;
    case 'resultExpired':
      return undefined;
  }
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
