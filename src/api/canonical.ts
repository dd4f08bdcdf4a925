/** One form for what can be written in several: as the API server stores it, and as the original operator read it. Pure. */
import { isRecord } from './is-record.ts';
import { inApiSpelling } from './python-spelling.ts';
import { registryMirrorSchema } from './registry-mirror.ts';
import { fieldOf, type Shape, shapeOf } from './schema-shape.ts';

/**
 * Takes a RegistryMirror as somebody wrote it, valid or not. In what is returned no field is null that cannot be (the API server takes it for
 * absent), no Secret has an empty name (the original took it for none), and claims have the API's spelling (the original took Python's alone).
 */
export function canonicalMirror(object: unknown): unknown {
  if (!isRecord(object)) return object;
  const { metadata, spec } = object;
  const written = {
    ...object,
    ...(isRecord(metadata) && { metadata: withoutFields(metadata, (value) => value === null) }),
    ...(isRecord(spec) && { spec: canonicalSpec(spec) }),
  };
  return withoutNulls(written, shapeOf(registryMirrorSchema));
}

function canonicalSpec(spec: Record<string, unknown>): Record<string, unknown> {
  const { volumeClaimTemplate: template } = spec;
  const named = withoutFields(spec, (value, name) => name === 'credentialsSecret' && value === '');
  if (!isRecord(template) || !isRecord(template['spec'])) return named;
  return { ...named, volumeClaimTemplate: { ...template, spec: inApiSpelling(template['spec']) } };
}

/** Where the schema knows the field, or it is the value of a map; an item of a list is null for the API server too. */
function withoutNulls(value: unknown, shape: Shape): unknown {
  const { element, valueType } = shape;
  if (Array.isArray(value))
    return element ? value.map((item) => withoutNulls(item, shapeOf(element))) : value;
  if (!isRecord(value)) return value;
  const kept = Object.entries(value).flatMap(([name, inner]) => {
    const schema = fieldOf(shape, name) ?? valueType;
    if (schema === undefined) return [[name, inner] as const];
    return inner === null ? [] : [[name, withoutNulls(inner, shapeOf(schema))] as const];
  });
  return Object.fromEntries(kept);
}

function withoutFields(
  fields: Record<string, unknown>,
  isLeftOut: (value: unknown, name: string) => boolean,
): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([name, value]) => !isLeftOut(value, name)));
}
