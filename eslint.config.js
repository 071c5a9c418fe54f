import tseslint from 'typescript-eslint';

/** What each room may import from other rooms. A room may always import itself. */
export const rooms = {
  core: [],
  gen: [],
  telemetry: ['core'],
  coordinator: ['core', 'telemetry'],
  store: ['core', 'telemetry'],
  cleanup: ['core', 'telemetry'],
  rpc: ['core', 'coordinator', 'telemetry', 'gen'],
  client: ['core', 'cleanup', 'telemetry', 'gen'],
  console: ['core', 'coordinator', 'telemetry'],
  cli: ['core', 'gen', 'telemetry', 'coordinator', 'store', 'cleanup', 'rpc', 'client', 'console'],
};

/** Files that a room may not import although it may import their room. */
export const withheld = { client: ['cleanup/sampler', 'cleanup/schedule'] };

/** Which rooms may import a package; a package that is not named here is at home in no room. */
export const homes = {
  '@bufbuild/protobuf': ['gen', 'client', 'rpc'],
  '@opentelemetry/api': ['telemetry'],
  '@grpc/grpc-js': ['rpc', 'client', 'gen'],
  '@grpc/proto-loader': ['rpc'],
  '@grpc/reflection': ['rpc'],
  '@hono/node-server': ['console'],
  '@opentelemetry/api': ['telemetry'],
  '@opentelemetry/exporter-metrics-otlp-proto': ['telemetry'],
  '@opentelemetry/exporter-prometheus': ['telemetry'],
  '@opentelemetry/exporter-trace-otlp-proto': ['telemetry'],
  '@opentelemetry/resources': ['telemetry'],
  '@opentelemetry/sdk-metrics': ['telemetry'],
  '@opentelemetry/sdk-trace-base': ['telemetry'],
  commander: ['cli'],
  'grpc-health-check': ['rpc'],
  hono: ['console'],
  'lru-cache': ['coordinator'],
  'node-cron': ['cleanup'],
  pg: ['store'],
  pino: ['telemetry'],
  yaml: [],
  zod: [],
};

/** Files directly under `src/` that are no room: what they may import. */
export const doors = {
  'index.ts': { rooms: ['client', 'core'], packages: [] },
  'main.ts': { rooms: ['cli'], packages: [] },
  'config.ts': { rooms: ['cleanup', 'telemetry'], packages: ['yaml', 'zod'] },
};

/** `cli` and nothing else reads the configuration: what the other rooms need is handed to them. */
const configReaders = ['cli'];

const message = 'The law of the house forbids this import; see `rooms` and `homes` in eslint.config.js.';

function lawOfRoom(room) {
  const foreign = Object.keys(rooms).filter((other) => other !== room && !rooms[room].includes(other));
  const packages = Object.keys(homes).filter((name) => !homes[name].includes(room));
  const groups = [
    ...foreign.flatMap((other) => [`../${other}/*`, `../../${other}/*`]),
    ...(withheld[room] ?? []).map((file) => `../${file}.js`),
    ...packages.flatMap((name) => [name, `${name}/*`]),
    ...(configReaders.includes(room) ? [] : ['../config.js', '../../config.js']),
  ];
  return {
    files: [`src/${room}/**/*.ts`],
    rules: { 'no-restricted-imports': ['error', { patterns: [{ group: groups, message }] }] },
  };
}

export default tseslint.config(
  // The peers' packages are only there once the bench was run.
  { ignores: ['src/gen/', 'dist/', 'node_modules/', 'coverage/', 'test/bench/peers/'] },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: { projectService: true },
    },
    rules: {
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      // A class whose whole state is private is still a class with a lifetime.
      '@typescript-eslint/no-extraneous-class': 'off',
      'max-lines': ['error', 300],
      'max-lines-per-function': ['error', { max: 70, skipComments: true, skipBlankLines: true }],
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'env', message: 'Only src/config.ts reads the environment.' },
      ],
    },
  },
  ...Object.keys(rooms).map(lawOfRoom),
  {
    files: ['src/core/**/*.ts'],
    rules: {
      'no-restricted-globals': [
        'error',
        'performance',
        'setTimeout',
        'setInterval',
        'setImmediate',
        'fetch',
        'process',
      ],
      'no-restricted-syntax': [
        'error',
        {
          selector:
            "MemberExpression[object.name='Date'][property.name='now'], NewExpression[callee.name='Date'][arguments.length=0]",
          message: 'The rules have no clock: time is an argument.',
        },
        {
          selector: "MemberExpression[object.name='Math'][property.name='random']",
          message: 'The rules have no chance: randomness is an argument.',
        },
        {
          selector: 'ImportDeclaration[source.value=/^node:(?!crypto$)/]',
          message: 'The rules import no package but node:crypto.',
        },
      ],
    },
  },
  {
    files: ['src/config.ts', 'src/store/embedded/*.ts', 'test/**/*.ts'],
    rules: { 'no-restricted-properties': 'off' },
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      // A file of tests is one long list; each test is short.
      'max-lines-per-function': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      // Leaving a field out of an object takes a name for it.
      '@typescript-eslint/no-unused-vars': ['error', { varsIgnorePattern: '^_$' }],
      // Numbers of enums that are unknown, or come off the wire, are what some tests are about.
      '@typescript-eslint/no-unsafe-enum-assignment': 'off',
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      '@typescript-eslint/no-misused-spread': 'off',
    },
  },
  { files: ['**/*.js', 'vitest.config.ts'], ...tseslint.configs.disableTypeChecked },
);
