/** Annotations that keep what an image was before it was rewritten. Pure. */
import {
  mostAnnotationBytes,
  originalImageAnnotation,
  originalVolumeImageAnnotation,
} from '../rewriting/original-annotations.ts';
import { type JsonObject, objectOf, textOf } from './json-value.ts';
import type { ImagePlace, PodPlace } from './pod-images.ts';
import type { PatchOperation } from './review.ts';

const keyName = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;

/** The annotation of an image; undefined where its container's name can be no part of a key. */
export function annotationOf({ list, name }: Pick<ImagePlace, 'list' | 'name'>): string | undefined {
  if (!keyName.test(name)) return undefined;
  return `${list === 'volumes' ? originalVolumeImageAnnotation : originalImageAnnotation}/${name}`;
}

export interface AnnotatedImages {
  /** Images that are rewritten: what they were is kept. */
  readonly rewritten: readonly ImagePlace[];
  /** Images that an update changed and no rule rewrites: what their annotation says is of the image before. */
  readonly left: readonly ImagePlace[];
  /** The pod before the update. */
  readonly before: PodPlace | undefined;
  /** Whether the rules make the first of the second. */
  readonly isMadeOf: (image: string, original: string) => boolean;
}

/** Changes annotations of ours only, and none where metadata is not of the usual form. */
export function annotationOperations(pod: PodPlace, images: AnnotatedImages): PatchOperation[] {
  if (images.rewritten.length === 0 && images.left.length === 0) return [];
  const annotations = annotationsOf(pod);
  if (annotations === undefined) return [];
  const stale = staleKeys(images, annotations);
  const kept = keptOriginals(images, annotations);
  if (isTooMuch(annotations, kept)) return removals(pod, stale);
  return [...removals(pod, stale), ...additions(pod, kept)];
}

const none: JsonObject = {};

/** Empty where there are none; undefined where something else stands in their place. */
function annotationsOf({ metadata, hasMetadata }: PodPlace): JsonObject | undefined {
  if (metadata === undefined) return hasMetadata ? undefined : none;
  const annotations = metadata['annotations'];
  return annotations === undefined || annotations === null ? none : objectOf(annotations);
}

/** What the update did not change, and is not what the images are made of. */
function staleKeys({ left, before, isMadeOf }: AnnotatedImages, annotations: JsonObject): string[] {
  if (left.length === 0) return [];
  const old = before && annotationsOf(before);
  const [stale, sound] = [new Set<string>(), new Set<string>()];
  for (const place of left) {
    const key = annotationOf(place);
    const original = key && annotations[key];
    if (key === undefined || original === undefined || original !== old?.[key]) continue;
    if (isMadeOf(place.image, textOf(original))) sound.add(key);
    else stale.add(key);
  }
  // Names may be given twice where the API server does not look at templates.
  return [...stale].filter((key) => !sound.has(key));
}

/** Original images by their annotation, without those that are there already. */
function keptOriginals({ rewritten }: AnnotatedImages, annotations: JsonObject): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const place of rewritten) {
    const key = annotationOf(place);
    if (key !== undefined && annotations[key] !== place.image) kept[key] = place.image;
  }
  return kept;
}

function isTooMuch(annotations: JsonObject, kept: JsonObject): boolean {
  // No character has more than three bytes of UTF-8 for each of its UTF-16 units; what is in both is counted twice here.
  if ((charactersOf(annotations) + charactersOf(kept)) * 3 <= mostAnnotationBytes) return false;
  const all: JsonObject = { ...annotations, ...kept };
  let bytes = 0;
  for (const key in all) bytes += Buffer.byteLength(key + textOf(all[key]));
  return bytes > mostAnnotationBytes;
}

function charactersOf(annotations: JsonObject): number {
  let characters = 0;
  for (const key in annotations) characters += key.length + textOf(annotations[key]).length;
  return characters;
}

function removals(pod: PodPlace, keys: readonly string[]): PatchOperation[] {
  return keys.map((key) => ({ op: 'remove', path: pathOf(pod, key) }));
}

function additions(pod: PodPlace, kept: Record<string, string>): PatchOperation[] {
  const keys = Object.keys(kept);
  const { pointer, metadata, hasMetadata } = pod;
  if (keys.length === 0) return [];
  if (objectOf(metadata?.['annotations']) !== undefined)
    return keys.map((key) => ({ op: 'add', path: pathOf(pod, key), value: kept[key] }));
  if (hasMetadata) return [{ op: 'add', path: `${pointer}/metadata/annotations`, value: kept }];
  return [{ op: 'add', path: `${pointer}/metadata`, value: { annotations: kept } }];
}

/** Keys of ours have one slash and no tilde, which alone are escaped in JSON pointers. */
function pathOf({ pointer }: PodPlace, key: string): string {
  return `${pointer}/metadata/annotations/${key.replace('/', '~1')}`;
}
