import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Record, State, type KeyRef } from '../../src/gen/onceward/v1/record.js';
import { execute, refOf } from '../support/calls.js';
import { insertChildren } from '../support/children.js';
import { startSetup, type TestCoordinator, type TestSetup } from '../support/coordinator.js';
import { lineageRuns, type LineageRuns } from '../support/lineage.js';
import { type ProgramRun } from '../support/run-program.js';
import { errorWith, startScriptedCoordinator } from '../support/scripted-coordinator.js';

let setup: TestSetup;
let one: TestCoordinator;
let tree: LineageRuns;
beforeAll(async () => {
  setup = await startSetup();
  [one] = setup.coordinators as [TestCoordinator];
  tree = lineageRuns(one.address);
});
afterAll(() => setup.stop());

const called = (ref: KeyRef, parent?: KeyRef) => execute(one, ref.key, { ref, parent });

describe('what is left out is told', () => {
  const chain = ['a', 'b', 'c', 'd'].map((key) => refOf(key));
  beforeAll(async () => {
    for (const [i, ref] of chain.entries()) await called(ref, chain[i - 1]);
    for (const key of ['b2', 'b3']) await called(refOf(key), chain[0]);
  });
  const [a, , c, d] = chain as [KeyRef, KeyRef, KeyRef, KeyRef];

  it('levels below', async () => {
    expect(await tree.drawn(a, '--depth', '2')).toEqual([
      '>  test/a',
      '   ├─ test/b',
      '   │  └─ … more',
      '   ├─ test/b2',
      '   └─ test/b3',
      '',
      'cut: there are more levels; see --depth',
    ]);
    expect((await tree.drawn(a, '--depth', '4')).join()).not.toContain('more');
  });

  it('levels above', async () => {
    const note = ['', 'cut: there are more levels; see --depth'];
    expect(await tree.drawn(d, '--depth', '2')).toEqual(['   … more', '   test/c', '>  └─ test/d', ...note]);
    expect(await tree.drawn(c, '--depth', '1')).toEqual(['   … more', '>  test/c', '   └─ … more', ...note]);
    expect(await tree.lines(c, '--depth', '1')).toMatchObject([
      { ref: { key: 'c' }, asked: true, parentOmitted: true, childrenOmitted: true },
    ]);
    expect(
      (await tree.run(c, '--depth', '1', '--mermaid')).stdout.match(/"more, left out"\]:::missing/g),
    ).toHaveLength(2);
  });

  it('records, but never on the way to the one asked for', async () => {
    const note = ['', 'cut: there are more records; see --limit'];
    expect(await tree.drawn(a, '--limit', '3')).toEqual([
      '>  test/a',
      '   ├─ test/b',
      '   │  └─ … more',
      '   ├─ test/b2',
      '   └─ … more',
      ...note,
    ]);
    expect(await tree.drawn(refOf('b3'), '--limit', '2')).toEqual([
      '   test/a',
      '>  ├─ test/b3',
      '   └─ … more',
      ...note,
    ]);
    expect((await tree.drawn(d, '--limit', '6')).join()).not.toContain('more');
  });

  it('children that one answer could not hold', async () => {
    await called(refOf('many'));
    await insertChildren(setup.database, refOf('many'), 1, 1000);
    const last = refOf('the-youngest');
    await called(last, refOf('many'));
    const found = await tree.drawn(last, '--limit', '2000');
    expect(found).toHaveLength(1 + 1000 + 1 + 3);
    expect(found.slice(-4)).toEqual([
      '>  ├─ test/the-youngest',
      '   └─ … more',
      '',
      'cut: a record has more children than one answer holds (1000, or 4 MiB)',
    ]);
  });
});

describe('a loop', () => {
  it('ends, and is told', async () => {
    await called(refOf('x'), refOf('z'));
    await called(refOf('y'), refOf('x'));
    await called(refOf('z'), refOf('y'));
    expect(await tree.drawn(refOf('y'))).toEqual([
      '   test/z',
      '   └─ test/x',
      '>     └─ test/y',
      '',
      'loop: test/z was called from test/y, which stands below it',
    ]);
    expect((await tree.lines(refOf('y'))).map(({ ref, loop }) => [ref.key, loop])).toEqual([
      ['z', true],
      ['x', undefined],
      ['y', undefined],
    ]);
    const { stdout } = await tree.run(refOf('y'), '--mermaid');
    expect(stdout).toMatch(/ {2}(r3)\["called from test\/y, below"\]:::missing\n {2}r3 --> r0\n$/);
  });

  it('of a record with itself, too', async () => {
    await called(refOf('self'), refOf('self'));
    expect(await tree.drawn(refOf('self'))).toEqual([
      '>  test/self',
      '',
      'loop: test/self was called from test/self, which stands below it',
    ]);
  });
});

describe('a coordinator', () => {
  const child = { ...Record.decode(Buffer.alloc(0)), ref: refOf('child'), state: State.COMPLETED };
  const root = { ...child, ref: refOf('root'), children: [child] };
  const answering = async (code: number, reason: string): Promise<ProgramRun> => {
    const server = await startScriptedCoordinator({
      lookup: ({ ref }: { ref: KeyRef }) =>
        ref.key === 'root' ? root : Promise.reject(errorWith({ code, reason, message: 'no' })),
    });
    const run = await lineageRuns(server.address).run(refOf('root'));
    server.stop();
    return run;
  };

  it('that may not show a child leaves the rest of the tree', async () => {
    const run = await answering(7, 'PERMISSION_DENIED');
    expect(run).toMatchObject({ code: 0, stderr: '' });
    expect(run.stdout).toMatch(/└─ test\/child +COMPLETED .*\n +└─ … not read: PERMISSION_DENIED\n$/);
  });

  it('that is overloaded on the way fails the command: half a tree is none', async () => {
    const run = await answering(8, 'OVERLOADED');
    expect(run).toEqual({ code: 6, stdout: '', stderr: 'error: OVERLOADED: no\n' });
  });
});
