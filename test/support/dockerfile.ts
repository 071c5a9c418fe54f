import { execFile } from 'node:child_process';
import { cp, mkdir, readFile, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Instruction {
  readonly name: string;
  readonly text: string;
}

/** What an image tells of how it is to be run. */
export interface Image {
  /** Folder that stands for `/`. */
  readonly root: string;
  readonly workdir: string;
  readonly env: Readonly<Record<string, string>>;
  /** As written, e.g. `1000:1000`; undefined: root. */
  readonly user: string | undefined;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly healthcheck: readonly string[];
}

/** The instructions in order, comments left out and continued lines joined. */
export function parseDockerfile(text: string): readonly Instruction[] {
  const lines = text.split('\n').filter((line) => !line.startsWith('#'));
  return lines
    .join('\n')
    .replaceAll(/\\\n/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [, name = '', rest = ''] = /^(\S+)\s+(.*)$/.exec(line.trim()) ?? [];
      return { name, text: rest.replaceAll(/\s+/g, ' ') };
    });
}

/** What an ignore file of the form "nothing but" lets into the build. */
export function letIn(ignoreFile: string): readonly string[] {
  const [first, ...others] = ignoreFile.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const bad = others.filter((line) => !/^![\w.-]+$/.test(line));
  if (first !== '*' || bad.length > 0) throw new Error(`not of the form "nothing but": ${bad.join(' ')}`);
  return others.map((line) => line.slice(1));
}

interface BuildOptions {
  readonly dockerfile: string;
  /** The checkout. */
  readonly source: string;
  /** Made below it: what is let in, and a folder a stage. */
  readonly scratch: string;
}

/** Does what the Dockerfile says in plain folders, on this machine's Node and npm instead of the base image's. */
export async function buildImage({ dockerfile, source, scratch }: BuildOptions): Promise<Image> {
  const context = join(scratch, 'context');
  for (const path of letIn(await readFile(`${dockerfile}.dockerignore`, 'utf8'))) {
    await cp(join(source, path), join(context, path), { recursive: true });
  }
  const stages = new Map<string, Image>();
  let image: Image | undefined;
  for (const { name, text } of parseDockerfile(await readFile(dockerfile, 'utf8'))) {
    if (name === 'FROM') {
      const [from = '', , stage = 'final'] = text.split(' ');
      image = await startStage(join(scratch, stage), stages.get(from));
      stages.set(stage, image);
      continue;
    }
    if (image === undefined) throw new Error(`${name} before the first FROM`);
    const changed: Image = await follow({ name, text }, image, (stage) =>
      stage === undefined ? context : stages.get(stage)?.root,
    );
    for (const [stage, each] of stages) if (each === image) stages.set(stage, changed);
    image = changed;
  }
  if (image === undefined) throw new Error('no FROM');
  return image;
}

async function startStage(root: string, from: Image | undefined): Promise<Image> {
  await mkdir(root, { recursive: true });
  if (from === undefined)
    return { root, workdir: '/', env: {}, user: undefined, entrypoint: [], command: [], healthcheck: [] };
  await cp(from.root, root, { recursive: true });
  return { ...from, root };
}

async function follow(
  { name, text }: Instruction,
  image: Image,
  folderOf: (stage: string | undefined) => string | undefined,
): Promise<Image> {
  const here = join(image.root, image.workdir);
  const exec = () => JSON.parse(text.slice(text.indexOf('['))) as readonly string[];
  switch (name) {
    case 'WORKDIR':
      await mkdir(join(image.root, text), { recursive: true });
      return { ...image, workdir: text };
    case 'COPY': {
      const [, stage, paths = ''] = /^(?:--from=(\S+) )?(.*)$/.exec(text) ?? [];
      const from = folderOf(stage);
      if (from === undefined) throw new Error(`no stage ${String(stage)}`);
      await copy(from, paths.split(' '), here);
      return image;
    }
    case 'RUN':
      await run('sh', ['-ec', text], { cwd: here, env: { ...process.env, ...image.env } });
      return image;
    case 'ENV':
      return {
        ...image,
        env: {
          ...image.env,
          ...Object.fromEntries(text.split(' ').map((pair) => pair.split('=', 2) as [string, string])),
        },
      };
    case 'USER':
      return { ...image, user: text };
    case 'HEALTHCHECK':
      return { ...image, healthcheck: exec() };
    case 'ENTRYPOINT':
      return { ...image, entrypoint: exec() };
    case 'CMD':
      return { ...image, command: exec() };
    case 'EXPOSE':
      return image;
    default:
      throw new Error(`${name} is not followed here`);
  }
}

/** A folder's content goes to the target, a file into it. */
async function copy(from: string, paths: readonly string[], here: string): Promise<void> {
  const target = resolve(here, paths.at(-1) ?? '');
  for (const path of paths.slice(0, -1)) {
    const source = join(from, path);
    const isFolder = (await stat(source)).isDirectory();
    await cp(source, isFolder ? target : join(target, basename(path)), { recursive: true });
  }
}
