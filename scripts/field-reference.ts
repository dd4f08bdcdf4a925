import { registryMirrorCrd } from '../src/api/crd.ts';

interface FieldSchema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly properties?: Record<string, FieldSchema>;
  readonly items?: FieldSchema;
  readonly required?: readonly string[];
  readonly additionalProperties?: FieldSchema;
  readonly 'x-kubernetes-int-or-string'?: boolean;
}

/** The page of the kind RegistryMirror: every field with its type, default and meaning, from the schema. */
export function registryMirrorReference(): string {
  const crd = registryMirrorCrd() as { spec: { versions: [{ schema: { openAPIV3Schema: FieldSchema } }] } };
  const { spec, status } = crd.spec.versions[0].schema.openAPIV3Schema.properties ?? {};
  return [
    '# RegistryMirror',
    '',
    '<!-- Generated from src/api by `npm run generate`. Do not edit. -->',
    '',
    'Cluster-scoped, `k8s.osp.tech/v1`, short name `rm`. What the conditions and their reasons mean: [operations](operations.md).',
    '',
    '## spec',
    '',
    ...table(spec, 'spec'),
    '',
    '## status',
    '',
    ...table(status, 'status'),
    '',
  ].join('\n');
}

function table(schema: FieldSchema | undefined, at: string): string[] {
  return ['| field | type | default | meaning |', '|---|---|---|---|', ...rows(schema, at)];
}

function rows(schema: FieldSchema | undefined, at: string): string[] {
  return Object.entries(schema?.properties ?? {}).flatMap(([name, field]) => {
    const path = `${at}.${name}${field.type === 'array' ? '[]' : ''}`;
    const required = schema?.required?.includes(name) ? 'required' : shown(field.default);
    const row = `| \`${path}\` | ${typeOf(field)} | ${required} | ${field.description ?? ''} |`;
    return [row, ...rows(field.items ?? field, path)];
  });
}

function typeOf(field: FieldSchema): string {
  if (field.enum) return field.enum.map((value) => `\`${value}\``).join(', ');
  if (field['x-kubernetes-int-or-string']) return 'quantity';
  if (field.type === 'array') return `list of ${field.items?.type ?? 'values'}s`;
  return field.additionalProperties ? 'map' : (field.type ?? '');
}

function shown(value: unknown): string {
  return value === undefined ? '' : `\`${JSON.stringify(value)}\``;
}
