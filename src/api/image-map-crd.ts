/** The CustomResourceDefinition of ImageMap. Pure; run by `npm run generate`. */
import { crdOf } from './crd.ts';
import { imageMapSchema } from './image-map.ts';
import { imageMapKind } from './image-map-kind.ts';

const ready = '.status.conditions[?(@.type=="Ready")]';

/** Returns the CRD as a plain object; applied over kubernetes-image-mapper's own it keeps every object. */
export function imageMapCrd(): Record<string, unknown> {
  return crdOf({
    ...imageMapKind,
    shortNames: ['imap'],
    description: 'What images of pods in its namespace become.',
    schema: imageMapSchema,
    // The original's, of v1beta1, has true, which no schema of v1 may be combined with.
    preserveUnknownFields: false,
    subresources: { status: {} },
    columns: [
      { name: 'Ready', type: 'string', jsonPath: `${ready}.status` },
      { name: 'Message', type: 'string', jsonPath: `${ready}.message`, priority: 1 },
      { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
    ],
  });
}
