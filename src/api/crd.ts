/** Makes a CustomResourceDefinition from the schema of a kind. Pure; each kind's is in a file of its own, run by `npm run generate`. */
import * as z from 'zod';
import type { Rule } from './rule.ts';

type JsonSchema = Record<string, unknown>;

/** All that tells one kind of ours from another. */
export interface CrdDescription {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
  readonly shortNames: readonly string[];
  /** What an object of the kind is. */
  readonly description: string;
  /** The object without `apiVersion`, `kind` and `metadata`. */
  readonly schema: z.ZodObject;
  /** CEL rules; none where absent. */
  readonly rules?: readonly Pick<Rule, 'at' | 'cel' | 'message'>[];
  /** Written out only for a kind that clusters may have from elsewhere. */
  readonly preserveUnknownFields?: false;
  readonly subresources?: JsonSchema;
  readonly columns: readonly PrinterColumn[];
}

export interface PrinterColumn {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'date';
  readonly jsonPath: string;
  /** Above 0: with `-o wide` only. */
  readonly priority?: number;
}

/** Returns the CRD as a plain object. */
export function crdOf(description: CrdDescription): Record<string, unknown> {
  const { group, version, kind, plural, namespaced, shortNames, subresources, columns } = description;
  const { preserveUnknownFields } = description;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: namespaced ? 'Namespaced' : 'Cluster',
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular: kind.toLowerCase(),
        shortNames,
        categories: ['registry-mirror'],
      },
      ...(preserveUnknownFields === false && { preserveUnknownFields }),
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: openApiSchema(description) },
          ...(subresources && { subresources }),
          additionalPrinterColumns: columns,
        },
      ],
    },
  };
}

function openApiSchema({ schema, description, rules = [] }: CrdDescription): JsonSchema {
  const { properties, required } = z.toJSONSchema(schema, {
    target: 'openapi-3.0',
    io: 'input',
    override: ({ jsonSchema }) => structural(jsonSchema),
  }) as { properties: Record<string, JsonSchema>; required?: string[] };
  const { spec, ...others } = properties;
  return {
    type: 'object',
    description,
    ...(required && { required }),
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { type: 'object' },
      spec: { ...spec, ...validations(rules, 'spec') },
      ...others,
    },
    ...validations(rules, 'object'),
  };
}

function validations(rules: NonNullable<CrdDescription['rules']>, at: Rule['at']): JsonSchema {
  const found = rules.filter((rule) => rule.at === at).map(({ cel, message }) => ({ rule: cel, message }));
  return found.length === 0 ? {} : { 'x-kubernetes-validations': found };
}

/** Mends in place what Kubernetes' structural schemas do not take as zod writes it. */
function structural(schema: JsonSchema): void {
  const { pattern } = schema;
  // JavaScript prints a slash escaped, which is noise in YAML and in the API server's messages.
  if (typeof pattern === 'string') schema['pattern'] = pattern.replaceAll('\\/', '/');
  if (schema['x-kubernetes-int-or-string']) schema['anyOf'] = [{ type: 'integer' }, { type: 'string' }];
  if (schema['x-kubernetes-preserve-unknown-fields']) delete schema['additionalProperties'];
  if (schema['maximum'] === Number.MAX_SAFE_INTEGER) delete schema['maximum'];
  if (schema['minimum'] === Number.MIN_SAFE_INTEGER) delete schema['minimum'];
}
