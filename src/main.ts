#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';

// V8 would put objects of calls among those that live long, and they keep others there (see test/bench/README.md). Said before
// anything runs that it could judge by.
setFlagsFromString('--no-allocation-site-pretenuring');

// What the program needs beyond the SDK is not installed with it, as the services that use the SDK don't need it.
const program = await Promise.all([import('./cli/program.js'), import('./cli/io.js')]).catch(explainMissing);
if (program !== undefined) {
  const [{ runProgram }, { processIo }] = program;
  // Not process.exit: what was written must reach its pipe first.
  process.exitCode = await runProgram(process.argv.slice(2), processIo());
}

function explainMissing(error: unknown): undefined {
  if (!(error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND')) throw error;
  const manifest = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  const { peerDependencies } = JSON.parse(manifest) as { peerDependencies: Record<string, string> };
  const packages = Object.entries(peerDependencies).map(([name, version]) => `${name}@${version}`);
  process.stderr.write(
    `onceward: ${error.message.split('\n')[0] ?? ''}\n` +
      `The program needs packages that the SDK does not. To install them:\n  npm install ${packages.join(' ')}\n`,
  );
  process.exitCode = 1;
}
