/** Building blocks of our kinds' schemas that Kubernetes defines elsewhere. Pure; used by `src/api` only. */
import * as z from 'zod';
import { qualifiedName, subdomain } from './subdomain.ts';

/** Kubernetes quantity: `20Gi`, `500m`, `2` (API machinery's grammar, unsigned, without exponents). */
export const quantityPattern = '^[0-9]+(\\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$';

/** A duration in whole seconds, minutes or hours. */
export const durationPattern = '^[1-9][0-9]{0,5}(s|m|h)$';

/** Key of a taint. */
export const taintKeyPattern = `^${qualifiedName}$`;

/** Name of another object: an RFC 1123 subdomain. */
export function objectName(description: string) {
  return z
    .string()
    .max(253)
    .regex(new RegExp(`^${subdomain}$`))
    .meta({ description });
}

/** Name of another object; the empty text says that there is to be none. */
export function objectNameOrNone(description: string) {
  return z
    .string()
    .max(253)
    .regex(new RegExp(`^(${subdomain})?$`))
    .meta({ description });
}

/** A quantity given as text or as a whole number. */
export function quantity(description: string) {
  return z
    .union([z.int().nonnegative(), z.string().max(32).regex(new RegExp(quantityPattern))])
    .meta({ description, pattern: quantityPattern, 'x-kubernetes-int-or-string': true });
}

/** A duration in `durationPattern`'s form. */
export function duration(description: string) {
  return z.string().regex(new RegExp(durationPattern)).meta({ description });
}

/** `requests` and `limits` of one container. */
export function resourceRequirements(description: string) {
  return z
    .object({
      requests: z
        .record(z.string(), quantity('A quantity.'))
        .optional()
        .meta({ description: 'What is reserved, by resource name.' }),
      limits: z
        .record(z.string(), quantity('A quantity.'))
        .optional()
        .meta({ description: 'What may be used at most, by resource name.' }),
    })
    .meta({ description });
}

/** Labels a node must have. */
export function nodeSelector(description: string) {
  return z.record(z.string(), z.string().max(63)).meta({ description });
}

/** Taints that pods of ours tolerate. */
export function tolerations(description: string) {
  const toleration = z
    .object({
      key: z.string().max(317).optional().meta({ description: 'The taint key; absent matches every key.' }),
      operator: z.enum(['Exists', 'Equal']).optional().meta({ description: 'Default Equal.' }),
      value: z.string().max(63).optional().meta({ description: 'The taint value.' }),
      effect: z
        .enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute'])
        .optional()
        .meta({ description: 'The taint effect; absent matches every effect.' }),
      tolerationSeconds: z.int().optional().meta({ description: 'Seconds a NoExecute taint is tolerated.' }),
    })
    .meta({ description: 'A toleration as in a pod.' });
  return z.array(toleration).max(64).meta({ description, 'x-kubernetes-list-type': 'atomic' });
}

/** An object whose content another API defines; the API server validates it where it is used. */
export function anyObject(description: string) {
  return z.looseObject({}).meta({ description, 'x-kubernetes-preserve-unknown-fields': true });
}

/** A condition as in the API's own kinds. */
const conditionSchema = z
  .object({
    type: z.string().max(316).meta({ description: 'What the condition is about, in CamelCase.' }),
    status: z.enum(['True', 'False', 'Unknown']).meta({ description: 'Whether it holds.' }),
    reason: z.string().max(1024).meta({ description: 'The cause as one CamelCase word.' }),
    message: z.string().max(32768).meta({ description: 'The cause for people.' }),
    lastTransitionTime: z.string().meta({ description: 'When status last changed.', format: 'date-time' }),
    observedGeneration: z
      .int()
      .optional()
      .meta({ description: 'The generation it was computed from.', format: 'int64' }),
  })
  .meta({ description: 'One aspect of the state.' });

/** `status.conditions` of a kind of ours. */
export const conditionsSchema = z.array(conditionSchema).meta({
  description: 'The state in detail.',
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': ['type'],
});

export type Condition = z.output<typeof conditionSchema>;
