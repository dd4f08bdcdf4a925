/** What an update does to the images of a pod, or of a template. Pure. */
import { objectOf } from './json-value.ts';
import { annotationOf } from './original-images.ts';
import { type ImagePlace, imagesIn, keyOf, type PodPlace } from './pod-images.ts';
import type { AdmissionRequest } from './review.ts';

/** An image that is to be what it was before the update. */
export interface RestoredImage {
  readonly place: ImagePlace;
  readonly image: string;
}

export interface UpdatedImages {
  /** All others are as they were. */
  readonly changed: readonly ImagePlace[];
  /**
   * Of a template that cannot change: images that are named as they were before they had been rewritten. Whoever applies the object again has changed
   * nothing, and would be refused by the API server with what today's rules make of them.
   */
  readonly restored: readonly RestoredImage[];
}

/** Takes images of an object, and the pod in it before the update. */
export function updatedImages(
  images: readonly ImagePlace[],
  before: PodPlace | undefined,
  kind: AdmissionRequest['kind'],
): UpdatedImages {
  const old = before === undefined ? [] : imagesIn(before);
  const known = new Set(old.map(nameAndImage));
  const changed = images.filter((place) => !known.has(nameAndImage(place)));
  if (before === undefined || !hasFixedTemplate(kind)) return { changed, restored: [] };
  const rewritten = rewrittenBefore(old, before);
  const restored = changed.flatMap((place) => {
    const image = rewritten.get(nameAndImage(place));
    return image === undefined ? [] : [{ place, image }];
  });
  const isRestored = new Set(restored.map(({ place }) => place));
  return { changed: changed.filter((place) => !isRestored.has(place)), restored };
}

function nameAndImage(place: ImagePlace): string {
  return `${keyOf(place)} ${place.image}`;
}

/** Of the kinds that Kubernetes has only a Job never takes another image. */
function hasFixedTemplate({ group, kind }: AdmissionRequest['kind']): boolean {
  return group === 'batch' && kind === 'Job';
}

/** Images by what they were before they were rewritten, as annotations say. */
function rewrittenBefore(old: readonly ImagePlace[], { metadata }: PodPlace): ReadonlyMap<string, string> {
  const annotations = objectOf(metadata?.['annotations']);
  const rewritten = new Map<string, string>();
  for (const place of old) {
    const key = annotationOf(place);
    const original = key && annotations?.[key];
    if (typeof original === 'string') rewritten.set(nameAndImage({ ...place, image: original }), place.image);
  }
  return rewritten;
}
