import { durationPattern } from '../src/api/schema-parts.ts';

interface FieldSchema {
  readonly type?: string;
  readonly pattern?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly properties?: Record<string, FieldSchema>;
  readonly items?: FieldSchema;
  readonly required?: readonly string[];
  readonly additionalProperties?: FieldSchema;
  readonly 'x-kubernetes-int-or-string'?: boolean;
}

interface Crd {
  readonly spec: {
    readonly names: { readonly kind: string };
    readonly versions: readonly [{ readonly schema: { readonly openAPIV3Schema: FieldSchema } }];
  };
}

/** The page of a kind: what it is, every field with its type, default and meaning, from the schema, and `rules` that need more than one look. */
export function fieldReference(
  crd: Record<string, unknown>,
  introduction: readonly string[],
  rules: readonly string[] = [],
): string {
  const { names, versions } = (crd as unknown as Crd).spec;
  const sections = Object.entries(versions[0].schema.openAPIV3Schema.properties ?? {}).filter(
    ([name]) => !['apiVersion', 'kind', 'metadata'].includes(name),
  );
  return [
    `# ${names.kind}`,
    '',
    '<!-- Generated from src/api by `npm run generate`. Do not edit. -->',
    '',
    ...introduction,
    '',
    ...sections.flatMap(([name, schema]) => [
      ...[`## ${name}`, '', ...table(schema, name), ''],
      ...(name === 'spec' ? refusals(rules) : []),
    ]),
  ].join('\n');
}

function refusals(rules: readonly string[]): string[] {
  if (rules.length === 0) return [];
  return ['Besides, what breaks one of these is refused:', '', ...rules.map((rule) => `- ${rule}`), ''];
}

function table(schema: FieldSchema, at: string): string[] {
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
  if (field.pattern === durationPattern) return 'time: `90s`, `5m` or `24h`';
  if (field.type === 'array') return `list of ${field.items?.type ?? 'values'}s`;
  return field.additionalProperties ? 'map' : (field.type ?? '');
}

function shown(value: unknown): string {
  return value === undefined ? '' : `\`${JSON.stringify(value)}\``;
}
