import { CallError } from '../../src/client/call-error.js';

/** The error of a call that must fail. */
export async function caught(call: Promise<unknown>): Promise<CallError> {
  const answer = await call.then(
    (value) => ({ value }),
    (error: unknown) => error,
  );
  if (answer instanceof CallError) return answer;
  if (answer instanceof Error) throw answer;
  throw new Error(`expected an error, got ${JSON.stringify(answer, bigintSafe)}`);
}

/** The fields an error names. */
export async function violatedFields(call: Promise<unknown>): Promise<readonly string[]> {
  return (await caught(call)).violations.map(({ field }) => field);
}

function bigintSafe(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
