/**
 * The kind RewriteRules: rules compiled for the MutatingAdmissionPolicy, which reads them as its parameters, and the state of rewriting in a
 * namespace. The operator writes it, and nobody else. The one source of its schema and types; `crds/` is generated from it. Imports nothing of ours
 * outside this folder.
 */
import * as z from 'zod';
import { conditionsSchema } from './schema-parts.ts';

/**
 * What a rule makes of an image that was taken apart. `none`: no opinion; `stay`: the image as it is. The others put something below `to`: `path`
 * the path as written; `repository` the same, with `library/` where Docker Hub's own one-segment names have none; `bare` the path, behind the port
 * of an image whose line is for a host without one; `glue` host and path, without a slash before; `source` registry and repository.
 */
const forms = ['none', 'stay', 'path', 'repository', 'bare', 'glue', 'source'] as const;

function ruleOf(allowed: readonly (typeof forms)[number][], description: string) {
  return z
    .object({
      form: z.enum(allowed).meta({ description: 'How the new name is made.' }),
      to: z.string().meta({ description: 'What it begins with, without a slash at the end.' }),
    })
    .meta({ description });
}

function names(description: string) {
  return z.record(z.string(), z.boolean()).meta({ description });
}

function texts(description: string) {
  return z.array(z.string()).meta({ description, 'x-kubernetes-list-type': 'atomic' });
}

function prefixes(description: string) {
  return {
    names: names(description),
    lengths: z
      .array(z.int())
      .meta({ description: 'The lengths that they have.', 'x-kubernetes-list-type': 'atomic' }),
  };
}

const patternSchema = z
  .object({
    begins: z.string().meta({ description: 'What an image must begin with.' }),
    matches: z
      .string()
      .meta({ description: 'A regular expression that it must match besides; may be empty.' }),
    to: z.string().meta({ description: 'What its last segment is put below. Empty: it stays.' }),
  })
  .meta({ description: 'A pattern, in the order in which they are asked.' });

const registrySchema = z
  .object({
    ...ruleOf(['stay', 'path', 'bare'], '').shape,
    begins: z.string().meta({ description: 'Images that begin with it are what the line makes.' }),
  })
  .meta({ description: 'A line of the imageswap map.' });

const rulesSchema = z
  .object({
    images: z.record(z.string(), z.string()).meta({
      description:
        'Whole images: what ImageMaps and [EXACT] lines make of them in the end. Empty: the image stays.',
    }),
    patterns: z
      .array(patternSchema)
      .meta({ description: 'The [REPLACE] lines.', 'x-kubernetes-list-type': 'atomic' }),
    patternTargets: names('What patterns put images below; what lies right there stays.'),
    legacy: ruleOf(['none', 'path', 'glue'], 'IMAGE_PREFIX in mode LEGACY.'),
    byName: z.boolean().meta({ description: 'False: no rule is for anything but whole images.' }),
    registries: z
      .record(z.string(), registrySchema)
      .meta({ description: 'Lines of the imageswap map by host:port, host, or docker.io/library.' }),
    targets: z
      .object({
        ...prefixes('What lines put images below, with a slash in it.'),
        hosts: names('Registries on which nothing is taken on; with a colon at the end those with any port.'),
      })
      .meta({ description: 'What lies below stays.' }),
    wildcards: texts('Images with one of these in them stay.'),
    default: ruleOf(['none', 'stay', 'path', 'glue'], 'What no line is for.'),
    mirrors: z
      .record(z.string(), ruleOf(['repository'], 'A mirror.'))
      .meta({ description: 'Available mirrors by the registry they stand for.' }),
    mirrorTargets: z
      .object(prefixes('What mirrors put images below.'))
      .meta({ description: 'What lies below stays.' }),
    gilly: ruleOf(['none', 'path', 'source'], 'GILLY_REGISTRY.'),
    exclusions: z
      .object({
        registries: names('Registries, or hosts with any port.'),
        parts: texts('Parts of a registry.'),
        ends: texts('Ends of a host.'),
        matches: texts('Regular expressions for a registry.'),
      })
      .meta({ description: 'What gilly leaves alone.' }),
    concerns: z
      .object({
        everything: z
          .boolean()
          .meta({ description: 'Every image but those that begin with a text of `left`.' }),
        left: texts('Beginnings of images that stay.'),
        dockerHub: z.boolean().meta({ description: 'Images without a registry.' }),
        hosts: names('Images of these hosts.'),
      })
      .meta({
        description: 'Which images are looked at: more than are rewritten, told by their beginning alone.',
      }),
  })
  .meta({
    description: 'The rules of one set, as the policy looks them up.',
    // One field to server-side apply, which would otherwise list every image a second time.
    'x-kubernetes-map-type': 'atomic',
  });

const engineSchema = z.enum(['policy', 'webhook']);

const specSchema = z
  .object({
    // Never empty: server-side apply makes null of a structure that it takes the last field from.
    engine: engineSchema.meta({ description: 'Who rewrites.' }),
    rules: rulesSchema.optional().meta({
      ...rulesSchema.meta(),
      description: 'The rules, where the policy applies them.',
    }),
  })
  .meta({
    description: 'Written by the operator from ImageMaps, the imageswap map, mirrors and its settings.',
  });

const statusSchema = z
  .object({
    observedGeneration: z
      .int()
      .optional()
      .meta({ description: 'The generation of the spec that this is about.', format: 'int64' }),
    engine: engineSchema.optional().meta({ description: 'Who rewrites.' }),
    rules: z.int().optional().meta({ description: 'How many rules are in force.', format: 'int32' }),
    reason: z.string().max(32768).optional().meta({ description: 'Why this engine.' }),
    conditions: conditionsSchema.optional(),
  })
  .meta({ description: 'Who rewrites the images of pods, and why.' });

/** The whole object without `apiVersion`, `kind` and `metadata`. */
export const rewriteRulesSchema = z.object({ spec: specSchema, status: statusSchema.optional() });

type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;

/** The rules of one set. */
export type RuleSet = DeepReadonly<z.output<typeof rulesSchema>>;
/** The same without what can be told from it. */
export type RuleLookUps = Omit<RuleSet, 'concerns'>;
export type PatternRule = RuleSet['patterns'][number];
export type RegistryRule = RuleSet['registries'][string];
export type RewriteRulesStatus = DeepReadonly<z.output<typeof statusSchema>>;
export type RewriteEngineInForce = NonNullable<RewriteRulesStatus['engine']>;
