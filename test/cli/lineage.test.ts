import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KeyRef } from '../../src/gen/onceward/v1/record.js';
import { execute, refOf } from '../support/calls.js';
import { startSetup, type TestCoordinator, type TestSetup } from '../support/coordinator.js';
import { lineageRuns, type LineageRuns } from '../support/lineage.js';
import { putNamespace } from '../support/namespaces.js';
import { retryable } from '../support/statuses.js';
import { expireRecord } from '../support/time-travel.js';

let setup: TestSetup;
let one: TestCoordinator;
let tree: LineageRuns;
beforeAll(async () => {
  setup = await startSetup();
  [one] = setup.coordinators as [TestCoordinator];
  tree = lineageRuns(one.address);
  for (const name of ['payments', 'shipping']) await putNamespace(one, name);
});
afterAll(() => setup.stop());

/** Begins `ref`, called from `parent`; gives the token. */
const called = async (ref: KeyRef, parent?: KeyRef): Promise<bigint> =>
  (await execute(one, ref.key, { ref, parent })).fencingToken;

describe('the tree', () => {
  const order = refOf('order-42');
  const charge = refOf('charge', 'payments', 'acme');
  beforeAll(async () => {
    await called(order);
    const token = await called(charge, order);
    await called(refOf('charge', 'payments'), charge);
    await called(refOf('order-42', 'shipping'), order);
    await one.coordinator.complete({ ref: charge, fencingToken: token });
    const { fencingToken } = await execute(one, 'mail', { ref: refOf('mail'), parent: charge });
    await one.coordinator.fail(retryable(refOf('mail'), fencingToken));
  });

  it('goes across namespaces and scopes, from whichever of its records it is asked for', async () => {
    const expected = [
      '   test/order-42',
      '   ├─ payments/charge (scope acme)',
      '   │  ├─ payments/charge',
      '   │  └─ test/mail',
      '   └─ shipping/order-42',
    ];
    const refs = [order, charge, refOf('charge', 'payments'), refOf('mail'), refOf('order-42', 'shipping')];
    for (const [i, ref] of refs.entries()) {
      expect(await tree.drawn(ref)).toEqual(
        expected.map((line, j) => (i === j ? line.replace(/^ /, '>') : line)),
      );
    }
  });

  it('tells state, operation, attempts, lease and times', async () => {
    const { stdout } = await tree.run(order);
    const time = String.raw`\d{4}-\d\d-\d\dT[\d:.]+Z`;
    expect(stdout).toMatch(/^ +RECORD +STATE +OPERATION +ATTEMPTS +LEASE LEFT +CREATED +FINISHED\n/);
    expect(stdout).toMatch(
      new RegExp(`^>  test/order-42 +IN_PROGRESS +charge +1 +[\\d.]+s +${time} +-$`, 'm'),
    );
    expect(stdout).toMatch(
      new RegExp(`charge \\(scope acme\\) +COMPLETED +charge +1 +- +${time} +${time}$`, 'm'),
    );
    expect(stdout).toMatch(/test\/mail +RELEASED /);
  });

  it('is one JSON object a record for scripts, parents first', async () => {
    const found = await tree.lines(charge);
    expect(found.map(({ ref, level, state, asked }) => [ref.key, level, state, asked])).toEqual([
      ['order-42', 0, 'STATE_IN_PROGRESS', undefined],
      ['charge', 1, 'STATE_COMPLETED', true],
      ['charge', 2, 'STATE_IN_PROGRESS', undefined],
      ['mail', 2, 'STATE_RELEASED', undefined],
      ['order-42', 1, 'STATE_IN_PROGRESS', undefined],
    ]);
    const keys = new Set(found.flatMap((line) => Object.keys(line)));
    const exceptions = ['children', 'childrenOmitted', 'parentOmitted', 'loop', 'unread'];
    expect(exceptions.filter((name) => keys.has(name))).toEqual([]);
  });

  it('is a flowchart for mermaid', async () => {
    const { stdout } = await tree.run(charge, '--mermaid');
    expect(stdout.split('\n').map((line) => line.replace(/(created|finished) [^<"]+/g, '$1'))).toEqual([
      'flowchart TD',
      '  classDef asked stroke-width:4px',
      '  classDef missing stroke-dasharray:4',
      '  r0["test/order-42<br/>charge<br/>IN#95;PROGRESS, attempt 1<br/>created"]',
      '  r1["payments/charge #40;scope acme#41;<br/>charge<br/>COMPLETED, attempt 1<br/>created<br/>finished"]:::asked',
      '  r0 --> r1',
      '  r2["payments/charge<br/>charge<br/>IN#95;PROGRESS, attempt 1<br/>created"]',
      '  r1 --> r2',
      '  r3["test/mail<br/>charge<br/>RELEASED, attempt 1<br/>created"]',
      '  r1 --> r3',
      '  r4["shipping/order-42<br/>charge<br/>IN#95;PROGRESS, attempt 1<br/>created"]',
      '  r0 --> r4',
      '',
    ]);
  });
});

describe('a label for mermaid', () => {
  const every = String.fromCharCode(...Array.from({ length: 0x7f - 0x21 }, (_, i) => 0x21 + i));

  it.each([every, '"]-->r0["', '%%{init:{}}%%', '`style:x#f9f;`', '#35;<br/>&quot;', '$$x^2$$', 'fa:fa-car'])(
    'shows %j as it is',
    async (key) => {
      await called(refOf(key));
      const { stdout } = await tree.run(refOf(key), '--mermaid');
      const label = /^ {2}r0\["(.*)"\]:::asked$/m.exec(stdout)?.[1] ?? '';
      // Nothing but letters, digits, codes and our own line breaks: none of it means anything to mermaid.
      expect(label.replaceAll('<br/>', '')).toMatch(/^([A-Za-z0-9 /.,-]|#\d+;)+$/);
      const [first = ''] = label.split('<br/>');
      const shown = first.replace(/#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)));
      expect(shown.replaceAll('\u200b', '')).toBe(`test/${key}`);
      // What mermaid looks for once it has decoded the codes.
      expect(shown).not.toMatch(/\$\$|:fa-/);
    },
  );
});

describe('a parent without a record', () => {
  it('is shown as unknown, and the walk up ends there', async () => {
    await called(refOf('lone'), refOf('gateway', 'nobodys'));
    await called(refOf('step'), refOf('lone'));
    expect(await tree.drawn(refOf('step'))).toEqual([
      '   nobodys/gateway',
      '   ├─ test/lone',
      '>  │  └─ test/step',
      '   └─ … not read: NAMESPACE_NOT_FOUND',
    ]);
    expect((await tree.run(refOf('step'))).stdout).toMatch(/nobodys\/gateway +unknown\n/);
    const [root] = await tree.lines(refOf('step'));
    expect(root).toEqual({
      ref: { namespace: 'nobodys', key: 'gateway' },
      level: 0,
      unread: 'NAMESPACE_NOT_FOUND',
    });
    const { stdout } = await tree.run(refOf('step'), '--mermaid');
    expect(stdout).toContain('r0["nobodys/gateway<br/>unknown"]:::missing\n');
    expect(stdout).toContain('["not read#58; NAMESPACE#95;NOT#95;FOUND"]:::missing\n');
  });

  it('may have had one, that expired before those of its children', async () => {
    await called(refOf('expired'));
    for (const key of ['alive', 'sibling']) await called(refOf(key), refOf('expired'));
    await expireRecord(setup.database, 'expired');
    expect(await tree.drawn(refOf('alive'))).toEqual([
      '   test/expired',
      '>  ├─ test/alive',
      '   └─ … not read: RECORD_NOT_FOUND',
    ]);
  });

  it('is not found when it is the one asked for', async () => {
    const run = await tree.run(refOf('expired'));
    expect(run).toEqual({ code: 3, stdout: '', stderr: 'error: RECORD_NOT_FOUND: no such record\n' });
  });
});

it('refuses two formats at once', async () => {
  const run = await tree.run(refOf('k'), '--json', '--mermaid');
  expect(run).toMatchObject({ code: 2, stdout: '' });
  expect(JSON.parse(run.stderr)).toMatchObject({ error: { reason: 'USAGE' } });
});
