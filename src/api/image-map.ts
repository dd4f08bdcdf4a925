/**
 * The kind ImageMap: the one source of its schema and types; `crds/` is generated from it. Whatever kubernetes-image-mapper's own schema accepts
 * is accepted. Imports nothing of ours outside this folder.
 */
import * as z from 'zod';

/** No image text of more than 1024 characters is rewritten. */
const maxImageLength = 4096;
/** More than fit in the 1.5 MiB that etcd takes. */
const maxLines = 65_536;

const lineSchema = z
  .object({
    from: z.string().max(maxImageLength).meta({
      description:
        'The image as the pod has it, compared to the letter: nginx is neither nginx:latest nor docker.io/library/nginx.',
    }),
    to: z.string().max(maxImageLength).meta({
      description: 'What it becomes. Images of a line whose value is no image reference stay as they are.',
    }),
  })
  .meta({ description: 'One image and what it becomes.' });

const specSchema = z
  .object({
    map: z.array(lineSchema).max(maxLines).meta({
      description: 'Images of pods in this namespace. Of two lines for one image the last counts.',
      'x-kubernetes-list-type': 'atomic',
    }),
  })
  .meta({ description: 'Which images become which.' });

const conditionSchema = z
  .object({
    type: z.string().meta({ description: 'Ready.' }),
    status: z
      .string()
      .meta({ description: 'True: the map is in force. False: it was rejected, with all of its lines.' }),
    observationTime: z.string().optional().meta({ description: 'When this was found.', format: 'date-time' }),
    message: z.string().optional().meta({ description: 'Why the map was rejected.' }),
  })
  .meta({ description: 'One aspect of the state.' });

const statusSchema = z
  .object({
    observedGeneration: z
      .int()
      .optional()
      .meta({ description: 'The generation of the map that this was found of.', format: 'int64' }),
    conditions: z
      .array(conditionSchema)
      .meta({ description: 'What was found.', 'x-kubernetes-list-type': 'atomic' }),
  })
  .meta({ description: 'What became of the map.' });

/** The whole object without `apiVersion`, `kind` and `metadata`; without a spec it is an empty map. */
export const imageMapSchema = z.object({ spec: specSchema.optional(), status: statusSchema.optional() });

export type ImageMapSpec = z.output<typeof specSchema>;
export type ImageMapStatus = z.output<typeof statusSchema>;
export type ImageMapCondition = z.output<typeof conditionSchema>;
