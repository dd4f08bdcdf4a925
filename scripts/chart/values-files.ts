/** values.yaml, its schema and the table of all values, from one description. Pure. */
import { dump } from 'js-yaml';
import type { Schema, Value } from './values.ts';

type Values = Readonly<Record<string, Value>>;

const generated = 'Generated from scripts/chart by `npm run generate`. Do not edit.';

/** values.yaml: every value with its default, and above it what it means. */
export function valuesYaml(values: Values): string {
  return `# ${generated}\n${yamlLines(values, '').join('\n')}\n`;
}

function yamlLines(values: Values, indent: string): string[] {
  return Object.entries(values).flatMap(([name, value]) => [
    ...(indent === '' ? [''] : []),
    ...wrapped(value.description, 120 - indent.length).map((line) => `${indent}# ${line}`),
    ...(value.values === undefined
      ? indented(dump({ [name]: value.default }, { lineWidth: -1 }), indent)
      : [`${indent}${name}:`, ...yamlLines(value.values, `${indent}  `)]),
  ]);
}

function indented(text: string, indent: string): string[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => indent + line);
}

function wrapped(text: string, width: number): string[] {
  const lines = [''];
  for (const word of text.split(' ')) {
    const last = lines.at(-1) ?? '';
    if (last === '') lines[lines.length - 1] = word;
    else if (`${last} ${word}`.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** values.schema.json: what Helm checks before it renders. */
export function valuesSchema(values: Values): string {
  const schema = {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Values of registry-mirror-operator',
    ...groupSchema({
      ...values,
      global: { description: 'Values of a parent chart; none is read.', schema: { type: 'object' } },
      enabled: {
        description: 'What the condition of a parent chart asks for; it is not read here.',
        schema: { type: 'boolean' },
      },
    }),
  };
  return `${JSON.stringify(schema, null, 2)}\n`;
}

function groupSchema(values: Values): Schema {
  const properties = Object.fromEntries(
    Object.entries(values).map(([name, { description, schema, values: inner, default: given }]) => [
      name,
      {
        description: plain(description),
        ...(inner === undefined ? schema : groupSchema(inner)),
        ...(inner === undefined && given !== undefined && { default: given }),
      },
    ]),
  );
  return { type: 'object', additionalProperties: false, properties };
}

function plain(description: string): string {
  return description.replaceAll('`', '');
}

/** A Markdown table of every value. */
export function valuesTable(values: Values): string[] {
  return ['| value | meaning | default |', '|---|---|---|', ...rows(values, '')];
}

function rows(values: Values, at: string): string[] {
  return Object.entries(values).flatMap(([name, { description, values: inner, default: given }]) =>
    inner === undefined
      ? [`| \`${at}${name}\` | ${description}${choices(values[name])} | \`${JSON.stringify(given)}\` |`]
      : rows(inner, `${at}${name}.`),
  );
}

function choices(value: Value | undefined): string {
  const list = value?.schema?.['enum'];
  return Array.isArray(list) && !value?.description.includes('`')
    ? ` ${list.map((one) => `\`${one}\``).join(', ')}`
    : '';
}
