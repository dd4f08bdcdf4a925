/** Reads RegistryMirrors from YAML as the API server would take them, or says every fault of every document. Pure. */
import { kind } from '../api/kind.ts';
import type { RegistryMirror } from '../api/registry-mirror.ts';
import { type Fault, fieldPath, validateRegistryMirror } from '../api/validate.ts';
import { parseYaml, type YamlDocument, YamlError } from '../standalone/yaml-lines.ts';

/** The mirrors of a text, or its faults: one line each, in the order of the text. */
export type MirrorDocuments =
  | { readonly mirrors: readonly RegistryMirror[] }
  | { readonly faults: readonly string[] };

/** Takes a YAML text and the name it is called by in faults (`FILE:LINE: document N …`). Secrets are ignored: they are the cluster's. */
export function readMirrorDocuments(text: string, file: string): MirrorDocuments {
  const documents = parsed(text);
  if (documents instanceof YamlError) return { faults: [`${file}:${documents.line}: ${documents.message}`] };
  const mirrors: RegistryMirror[] = [];
  const faults: string[] = [];
  for (const [index, document] of documents.entries()) {
    if (kindOf(document.value) === 'Secret') continue;
    const validated = validateRegistryMirror(document.value);
    const found = 'faults' in validated ? validated.faults : repeated(validated.mirror, mirrors);
    faults.push(...found.map((fault) => `${file}:${faultLine(document, index, fault)}`));
    if ('mirror' in validated) mirrors.push(validated.mirror);
  }
  if (mirrors.length + faults.length === 0) faults.push(`${file}:1: expected at least one ${kind}`);
  return faults.length > 0 ? { faults } : { mirrors };
}

function parsed(text: string): YamlDocument[] | YamlError {
  try {
    return parseYaml(text);
  } catch (error) {
    if (error instanceof YamlError) return error;
    throw error;
  }
}

function repeated({ metadata: { name } }: RegistryMirror, before: readonly RegistryMirror[]): Fault[] {
  if (before.every((mirror) => mirror.metadata.name !== name)) return [];
  return [{ path: ['metadata', 'name'], message: `Duplicate value: ${JSON.stringify(name)}` }];
}

function faultLine({ value, lineOf }: YamlDocument, index: number, { path, message }: Fault): string {
  const name = nameOf(value);
  const object = `document ${index + 1}${name === undefined ? '' : ` (${kindOf(value)} ${name})`}`;
  const field = path.length === 0 ? '' : `${fieldPath(path)}: `;
  return `${lineOf(path)}: ${object}: ${field}${message}`;
}

function kindOf(value: unknown): unknown {
  return field(value, 'kind');
}

function nameOf(value: unknown): string | undefined {
  const name = field(field(value, 'metadata'), 'name');
  return typeof name === 'string' ? JSON.stringify(name) : undefined;
}

function field(value: unknown, name: string): unknown {
  return value !== null && typeof value === 'object' ? (value as Record<string, unknown>)[name] : undefined;
}
