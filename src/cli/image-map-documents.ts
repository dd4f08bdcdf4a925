/** Reads ImageMaps from YAML, or says every fault of every document. Pure. */
import { imageMapApiVersion, imageMapKind } from '../api/image-map-kind.ts';
import { fieldPath } from '../api/validate.ts';
import type { ImageMap } from '../image/rules/image-maps.ts';
import { type Path, parseYaml, type YamlDocument, YamlError } from '../standalone/yaml-lines.ts';

/** The maps of a text, or its faults: one line each, in the order of the text. */
export type ImageMapDocuments =
  | { readonly imageMaps: readonly ImageMap[] }
  | { readonly faults: readonly string[] };

/** Takes a YAML text, the name it is called by in faults, and the namespace of maps that name none. */
export function readImageMapDocuments(text: string, file: string, namespace: string): ImageMapDocuments {
  const documents = parsed(text);
  if (documents instanceof YamlError) return { faults: [`${file}:${documents.line}: ${documents.message}`] };
  const faults = documents.flatMap((document, index) =>
    faultsOf(document.value).map(
      ([path, message]) =>
        `${file}:${document.lineOf(path)}: document ${index + 1}: ${fieldPath(path)}${path.length > 0 ? ': ' : ''}${message}`,
    ),
  );
  if (faults.length > 0) return { faults };
  const objects = documents.map(({ value }) => value as ImageMapObject);
  const staying = objects.filter(({ metadata }) => metadata.deletionTimestamp == null);
  return { imageMaps: staying.map((object) => imageMapOf(object, namespace)) };
}

interface ImageMapObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string | null;
    readonly creationTimestamp?: unknown;
    readonly deletionTimestamp?: unknown;
  };
  readonly spec: { readonly map: readonly { readonly from: string; readonly to: string }[] };
}

function parsed(text: string): YamlDocument[] | YamlError {
  try {
    return parseYaml(text);
  } catch (error) {
    if (error instanceof YamlError) return error;
    throw error;
  }
}

/** After all times: what is not in the cluster yet is younger than what is. */
const notYet = '9';

function imageMapOf({ metadata, spec }: ImageMapObject, namespace: string): ImageMap {
  const { name, creationTimestamp } = metadata;
  return {
    namespace: metadata.namespace ?? namespace,
    name,
    creationTimestamp: typeof creationTimestamp === 'string' ? creationTimestamp : notYet,
    map: spec.map.map(({ from, to }) => ({ from, to })),
  };
}

function faultsOf(value: unknown): [Path, string][] {
  const object = asRecord(value);
  const metadata = asRecord(object['metadata']);
  const faults: [Path, string][] = [];
  if (object['apiVersion'] !== imageMapApiVersion)
    faults.push([['apiVersion'], `expected ${imageMapApiVersion}`]);
  if (object['kind'] !== imageMapKind.kind) faults.push([['kind'], `expected ${imageMapKind.kind}`]);
  if (!isText(metadata['name'])) faults.push([['metadata', 'name'], 'expected a name']);
  // An empty field is one that is not there, to the API server too.
  if (metadata['namespace'] != null && !isText(metadata['namespace'])) {
    faults.push([['metadata', 'namespace'], 'expected a name']);
  }
  return [...faults, ...mapFaults(asRecord(object['spec'])['map'])];
}

function mapFaults(map: unknown): [Path, string][] {
  if (!Array.isArray(map)) return [[['spec', 'map'], 'expected a list of {from, to}']];
  return map.flatMap((line, index) =>
    ['from', 'to']
      .filter((name) => typeof asRecord(line)[name] !== 'string')
      .map((name): [Path, string] => [['spec', 'map', index, name], 'expected a text']),
  );
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}

function asRecord(value: unknown): Record<string, unknown> {
  return value !== null && typeof value === 'object' ? (value as Record<string, unknown>) : {};
}
