import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type Instruction, letIn, parseDockerfile } from '../support/dockerfile.js';

const instructions = parseDockerfile(readFileSync('deploy/Dockerfile', 'utf8'));
const last = instructions.slice(instructions.findLastIndex(({ name }) => name === 'FROM'));
const texts = (name: string, of: readonly Instruction[] = last) =>
  of.filter((each) => each.name === name).map(({ text }) => text);

test('it copies what exists, and nothing else is let into the build', () => {
  const copied = texts('COPY', instructions)
    .filter((text) => !text.startsWith('--from='))
    .flatMap((text) => text.split(' ').slice(0, -1));
  expect(copied.filter((path) => !existsSync(path))).toEqual([]);
  const allowed = letIn(readFileSync('deploy/Dockerfile.dockerignore', 'utf8'));
  expect([...new Set(copied)].sort()).toEqual(allowed.toSorted());
});

test('every stage starts from another, or from one pinned image', () => {
  const froms = texts('FROM', instructions).map((text) => text.split(' '));
  const stages = froms.map(([, , stage]) => stage);
  const images = new Set(froms.map(([from = '']) => from).filter((from) => !stages.includes(from)));
  expect([...images]).toEqual([expect.stringMatching(/^node:20\.\d+\.\d+-bookworm-slim$/)]);
});

test('it runs as a user that is not root, and signals reach the program', () => {
  expect(texts('USER')).toEqual([expect.stringMatching(/^[1-9]\d*:[1-9]\d*$/)]);
  const [entrypoint = ''] = texts('ENTRYPOINT');
  expect(JSON.parse(entrypoint)).toEqual(['node', '/app/dist/main.js']);
  expect(texts('HEALTHCHECK')).toEqual([expect.stringMatching(/ CMD \["node", .*\/healthz/)]);
  expect(texts('EXPOSE')).toEqual(['7400 7401']);
});
