import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ESLint } from 'eslint';
import { describe, expect, test } from 'vitest';
import { doors, homes, rooms, withheld } from '../eslint.config.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const source = join(root, 'src');

interface SourceFile {
  /** Below `src/`. */
  readonly path: string;
  readonly text: string;
  readonly imports: readonly string[];
}

const files: readonly SourceFile[] = readdirSync(source, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map((path) => {
    const text = readFileSync(join(source, path), 'utf8');
    const imports = [...text.matchAll(/^(?:import|export)\b[^;]*?\bfrom '([^']+)'|\bimport\('([^']+)'\)/gm)];
    return { path, text, imports: imports.map((match) => match[1] ?? match[2] ?? '') };
  });
const own = files.filter(({ path }) => !path.startsWith('gen/'));

function roomOf(path: string): string {
  return path.includes('/') ? (path.split('/')[0] ?? '') : '';
}

function lawOf(path: string): { readonly rooms: readonly string[]; readonly packages: readonly string[] } {
  const room = roomOf(path);
  if (room === '') return doors[path as keyof typeof doors];
  const packages = Object.entries(homes).filter(([, at]) => (at as readonly string[]).includes(room));
  return { rooms: [room, ...rooms[room as keyof typeof rooms]], packages: packages.map(([name]) => name) };
}

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

/** Imports that the law of the file's room forbids. */
function violationsOf({ path, imports }: SourceFile): string[] {
  const law = lawOf(path);
  return imports.filter((specifier) => {
    if (specifier.startsWith('node:')) return false;
    if (!specifier.startsWith('.')) return !law.packages.includes(packageOf(specifier));
    const target = relative(source, join(source, dirname(path), specifier));
    if (target === 'config.js') return roomOf(path) !== 'cli';
    return !law.rooms.includes(roomOf(target));
  });
}

describe('the laws of the house', () => {
  test('every folder under src is a room, and every file outside of one is a door', () => {
    const strangers = files.filter(({ path }) => {
      const room = roomOf(path);
      return room === '' ? !(path in doors) : !(room in rooms);
    });
    expect(strangers.map(({ path }) => path)).toEqual([]);
  });

  test.each(files.map((file) => [file.path, file] as const))('%s imports what its room may', (_, file) => {
    expect(violationsOf(file)).toEqual([]);
  });

  test('a forbidden import is found', () => {
    const imports = ['pg', '../store/pool.js', '../config.js', 'node:fs', '../core/key.js'];
    const file = { path: 'coordinator/begin.ts', text: '', imports };
    expect(violationsOf(file)).toEqual(['pg', '../store/pool.js', '../config.js']);
  });

  test('no import goes in a circle', () => {
    const targets = new Map(
      own.map(({ path, imports }) => [
        path,
        imports
          .filter((specifier) => specifier.startsWith('.'))
          .map((specifier) =>
            relative(source, join(source, dirname(path), specifier)).replace(/\.js$/, '.ts'),
          ),
      ]),
    );
    const circles: string[] = [];
    const walk = (path: string, trail: readonly string[]): void => {
      if (trail.includes(path)) {
        circles.push([...trail.slice(trail.indexOf(path)), path].join(' → '));
        return;
      }
      for (const target of targets.get(path) ?? []) walk(target, [...trail, path]);
      targets.set(path, []);
    };
    for (const path of targets.keys()) walk(path, []);
    expect(circles).toEqual([]);
  });

  test('the SDK loads its own packages and nothing of the server, and installs no others', () => {
    const packages = new Set<string>();
    const reached = new Set<string>();
    const walk = (path: string): void => {
      if (reached.has(path)) return;
      reached.add(path);
      const file = files.find((each) => each.path === path);
      if (file === undefined) throw new Error(`no file ${path}`);
      for (const specifier of file.imports) {
        if (specifier.startsWith('node:')) continue;
        if (specifier.startsWith('.')) {
          walk(relative(source, join(source, dirname(path), specifier)).replace(/\.js$/, '.ts'));
        } else packages.add(packageOf(specifier));
      }
    };
    walk('index.ts');
    const rooms = new Set([...reached].map(roomOf));
    expect([...rooms].sort()).toEqual(['', 'cleanup', 'client', 'core', 'gen', 'telemetry']);
    expect(withheld.client.filter((path) => reached.has(`${path}.ts`))).toEqual([]);
    const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
    };
    const own = ['@bufbuild/protobuf', '@grpc/grpc-js', '@opentelemetry/api'];
    expect([...packages].sort()).toEqual(own);
    expect(Object.keys(manifest.dependencies).sort()).toEqual(own);
  });

  test('no file is longer than 300 lines', () => {
    const long = own.filter(({ text }) => text.split('\n').length > 301);
    expect(long.map(({ path }) => path)).toEqual([]);
  });

  test('each room explains itself at its door', () => {
    const silent = Object.keys(rooms).filter((room) => {
      if (room === 'gen' || !own.some(({ path }) => roomOf(path) === room)) return false;
      return !readdirSync(join(source, room)).includes('README.md');
    });
    expect(silent).toEqual([]);
  });

  test('only the configuration and the embedded Postgres look at the environment', () => {
    const readers = own.filter(({ text }) => text.includes('process.env')).map(({ path }) => path);
    expect(readers.filter((path) => !path.startsWith('store/embedded/'))).toEqual(['config.ts']);
  });

  test('what the SDK takes from telemetry loads neither a log nor what exports', () => {
    const heavy = ['export.ts', 'histogram-producer.ts', 'log.ts', 'otlp.ts'];
    const light = own.filter(
      ({ path }) => roomOf(path) === 'telemetry' && !heavy.some((name) => path === `telemetry/${name}`),
    );
    const loads = light
      .flatMap(({ imports }) => imports)
      .filter((specifier) => !specifier.startsWith('node:'));
    const files = loads.map((specifier) => specifier.replace(/^\.\//, '').replace(/\.js$/, '.ts'));
    expect(files.filter((name) => heavy.includes(name))).toEqual([]);
    expect(new Set(loads.filter((specifier) => !specifier.startsWith('.')))).toEqual(
      new Set(['@opentelemetry/api']),
    );
  });

  test('nothing unfinished, nothing switched off', () => {
    const marks = /\b(TODO|FIXME|XXX|HACK)\b|eslint-disable|@ts-(ignore|expect-error)|\bas any\b/;
    expect(own.filter(({ text }) => marks.test(text)).map(({ path }) => path)).toEqual([]);
  });
});

describe('the linter holds the same laws', () => {
  const eslint = new ESLint({ cwd: root });
  const lint = async (path: string, code: string): Promise<(string | null)[]> => {
    const [result] = await eslint.lintText(code, { filePath: join(source, path) });
    return result?.messages.map(({ ruleId }) => ruleId) ?? [];
  };

  test.each([
    ['core/key.ts', "import pg from 'pg';\nexport const driver = pg;\n", 'no-restricted-imports'],
    ['coordinator/begin.ts', "export { Pool } from '../store/pool.js';\n", 'no-restricted-imports'],
    ['client/guard.ts', "export { Sampler } from '../cleanup/sampler.js';\n", 'no-restricted-imports'],
    ['client/guard.ts', "export { startSchedule } from '../cleanup/schedule.js';\n", 'no-restricted-imports'],
    ['core/key.ts', 'export const now = Date.now();\n', 'no-restricted-syntax'],
    ['core/key.ts', 'export const dice = Math.random();\n', 'no-restricted-syntax'],
    ['rpc/server.ts', "export const home = process.env['HOME'];\n", 'no-restricted-properties'],
    [
      'store/lane.ts',
      'export function late(): void {\n  Promise.resolve();\n}\n',
      '@typescript-eslint/no-floating-promises',
    ],
  ])('%s: %j is refused by %s', async (path, code, rule) => {
    expect(await lint(path, code)).toContain(rule);
  });
});
