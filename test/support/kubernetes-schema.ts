import { createRequire } from 'node:module';
import ts from 'typescript';

/** A Kubernetes resource as it stands in a manifest. */
export interface Resource {
  readonly apiVersion: string;
  readonly kind: string;
}

const require = createRequire(import.meta.url);
/** Never written: the compiler is handed its text, and finds packages from where it would be. */
const file = new URL('./manifests.ts', import.meta.url).pathname;

/**
 * What the schema of Kubernetes says against the resources. Its types, which allow no unknown field, are asked through the compiler;
 * its validators, which do allow one, know formats: quantities, ports, durations.
 */
export function schemaProblems(resources: readonly Resource[]): readonly string[] {
  return [...typeProblems(resources), ...resources.flatMap(formatProblems)];
}

function typeProblems(resources: readonly Resource[]): readonly string[] {
  const text = resources
    .map(
      (resource, i) =>
        `import type { I${resource.kind} as T${i} } from 'kubernetes-models/${resource.apiVersion}';\n` +
        `export const resource${i}: T${i} = ${JSON.stringify(resource)};\n`,
    )
    .join('');
  const options: ts.CompilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
    skipLibCheck: true,
    types: [],
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
  };
  const host = ts.createCompilerHost(options);
  const getSourceFile = host.getSourceFile.bind(host);
  host.getSourceFile = (name, ...more) =>
    name === file ? ts.createSourceFile(name, text, ts.ScriptTarget.ES2022) : getSourceFile(name, ...more);
  const program = ts.createProgram([file], options, host);
  return ts
    .getPreEmitDiagnostics(program)
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
}

type ModelOf = new (data: object) => { validate(): void };

function formatProblems(resource: Resource): readonly string[] {
  try {
    const models = require(`kubernetes-models/${resource.apiVersion}`) as Record<string, ModelOf>;
    const model = models[resource.kind];
    if (model === undefined) return [`there is no ${resource.kind} in ${resource.apiVersion}`];
    new model(resource).validate();
    return [];
  } catch (error) {
    return [(error as Error).message];
  }
}
