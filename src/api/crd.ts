/** Makes the CustomResourceDefinition of RegistryMirror from its schema. Pure; run by `npm run generate`. */
import * as z from 'zod';
import { group, kind, version } from './kind.ts';
import { registryMirrorSchema } from './registry-mirror.ts';
import { type Rule, rules } from './rules.ts';

type JsonSchema = Record<string, unknown>;

const columns = [
  ['Upstream', 'string', '.status.upstream'],
  ['Masquerade', 'string', '.status.masquerade'],
  ['Address', 'string', '.status.address'],
  ['Cache', 'string', '.status.cache'],
  ['Nodes', 'string', '.status.nodes'],
  ['Hit', 'string', '.status.hitRatio'],
  ['Ready', 'string', '.status.conditions[?(@.type=="Ready")].status'],
  ['Age', 'date', '.metadata.creationTimestamp'],
] as const;

/** Returns the CRD as a plain object. */
export function registryMirrorCrd(): Record<string, unknown> {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `registrymirrors.${group}` },
    spec: {
      group,
      scope: 'Cluster',
      names: {
        kind,
        listKind: `${kind}List`,
        plural: 'registrymirrors',
        singular: 'registrymirror',
        shortNames: ['rm'],
        categories: ['registry-mirror'],
      },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: openApiSchema() },
          subresources: {
            status: {},
            scale: {
              specReplicasPath: '.spec.replicas',
              statusReplicasPath: '.status.replicas',
              labelSelectorPath: '.status.selector',
            },
          },
          additionalPrinterColumns: columns.map(([name, type, jsonPath]) => ({ name, type, jsonPath })),
        },
      ],
    },
  };
}

function openApiSchema(): JsonSchema {
  const { properties, required } = z.toJSONSchema(registryMirrorSchema, {
    target: 'openapi-3.0',
    io: 'input',
    override: ({ jsonSchema }) => structural(jsonSchema),
  }) as { properties: Record<string, JsonSchema>; required: string[] };
  const { spec, ...others } = properties;
  return {
    type: 'object',
    description: 'A caching mirror of one registry for the nodes of this cluster.',
    required,
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { type: 'object' },
      spec: { ...spec, 'x-kubernetes-validations': validations('spec') },
      ...others,
    },
    'x-kubernetes-validations': validations('object'),
  };
}

function validations(at: Rule['at']): JsonSchema[] {
  return rules.filter((rule) => rule.at === at).map(({ cel, message }) => ({ rule: cel, message }));
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
