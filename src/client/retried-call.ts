import {
  InterceptingCall,
  Metadata,
  status,
  type InterceptingListener,
  type NextCall,
  type StatusObject,
} from '@grpc/grpc-js';
import type { RetryRule } from './retry-rule.js';

/** The metadata that a call with this message is sent with. */
export type Stamp = (given: Metadata, message: unknown) => Metadata;

/**
 * A unary call that is sent again as the rule says, each time with the same metadata and message. What an attempt answers is held back until
 * it is known to be the last.
 */
export function retriedCall(
  first: ReturnType<NextCall>,
  again: () => ReturnType<NextCall>,
  stamp: Stamp,
  rule: RetryRule,
  /** Of the whole call, ms since the epoch. */
  deadlineTime: number,
): InterceptingCall {
  let current = first;
  let attempts = 0;
  let metadata = new Metadata();
  let listener: InterceptingListener;
  let message: unknown;
  let pause: NodeJS.Timeout | undefined;
  let left = false;

  const attempt = (call: ReturnType<NextCall>): void => {
    current = call;
    attempts += 1;
    let initial: Metadata | undefined;
    const replies: unknown[] = [];
    call.start(metadata.clone(), {
      onReceiveMetadata: (received) => {
        initial = received;
      },
      onReceiveMessage: (received: unknown) => {
        replies.push(received);
      },
      onReceiveStatus: (end) => {
        const answer = () => {
          if (initial !== undefined) listener.onReceiveMetadata(initial);
          for (const reply of replies) listener.onReceiveMessage(reply);
          listener.onReceiveStatus(end);
        };
        const delayMs = left || end.code === status.OK ? undefined : rule(end, attempts);
        if (delayMs === undefined || Date.now() + delayMs >= deadlineTime) answer();
        else
          pause = setTimeout(() => {
            pause = undefined;
            const next = unlessClosed(again);
            if (next === undefined) answer();
            else attempt(next);
          }, delayMs);
      },
    });
    call.sendMessage(message);
    call.halfClose();
  };

  return new InterceptingCall(first, {
    start: (givenMetadata, givenListener) => {
      metadata = givenMetadata;
      listener = givenListener;
    },
    sendMessage: (given: unknown) => {
      message = given;
      metadata = stamp(metadata, message);
    },
    halfClose: () => {
      attempt(first);
    },
    cancel: (next) => {
      if (left) return;
      left = true;
      if (pause !== undefined) {
        clearTimeout(pause);
        listener.onReceiveStatus(cancelled());
      } else if (current === first) next();
      else current.cancelWithStatus(status.CANCELLED, 'Cancelled on client');
    },
  });
}

/** grpc-js throws when its client was closed meanwhile. */
function unlessClosed<T>(makeCall: () => T): T | undefined {
  try {
    return makeCall();
  } catch {
    return undefined;
  }
}

function cancelled(): StatusObject {
  return { code: status.CANCELLED, details: 'Cancelled on client', metadata: new Metadata() };
}
