/** Where the images of a pod, or of a workload's pod template, are. Pure. */
import { type JsonObject, listOf, objectOf, textOf } from './json-value.ts';

/** A pod, or the template of pods, in an object. */
export interface PodPlace {
  /** JSON pointer (RFC 6901) of it: empty for a pod. */
  readonly pointer: string;
  readonly isTemplate: boolean;
  readonly metadata: JsonObject | undefined;
  /** What stands where metadata should be, if that is no object. */
  readonly hasMetadata: boolean;
  readonly spec: JsonObject;
}

export type ImageList = 'containers' | 'initContainers' | 'ephemeralContainers' | 'volumes';

/** One image: of a container, or of an image volume. */
export interface ImagePlace {
  readonly list: ImageList;
  readonly index: number;
  /** Name of the container or volume; empty where it has none. */
  readonly name: string;
  readonly image: string;
  /** Whether its pull policy is `Never`. */
  readonly isNeverPulled: boolean;
}

const imageLists: readonly ImageList[] = ['containers', 'initContainers', 'ephemeralContainers', 'volumes'];

/** Finds the pod in an object: itself, the template of a CronJob's jobs, or `spec.template` of any kind that has containers there. */
export function podIn(
  kind: { readonly group: string; readonly kind: string },
  object: JsonObject,
): PodPlace | undefined {
  if (kind.group === '' && kind.kind === 'Pod') return placeOf(object, '');
  const spec = objectOf(object['spec']);
  const jobSpec = objectOf(objectOf(spec?.['jobTemplate'])?.['spec']);
  if (jobSpec !== undefined) return placeOf(jobSpec['template'], '/spec/jobTemplate/spec/template');
  return placeOf(spec?.['template'], '/spec/template');
}

function placeOf(value: unknown, pointer: string): PodPlace | undefined {
  const pod = objectOf(value);
  const spec = objectOf(pod?.['spec']);
  if (pod === undefined || spec === undefined) return undefined;
  const isTemplate = pointer !== '';
  if (isTemplate && !Array.isArray(spec['containers'])) return undefined;
  const hasMetadata = pod['metadata'] !== undefined && pod['metadata'] !== null;
  return { pointer, isTemplate, metadata: objectOf(pod['metadata']), hasMetadata, spec };
}

/** All images of a pod that are texts, in the order of the lists. */
export function imagesIn({ spec }: PodPlace): ImagePlace[] {
  const places: ImagePlace[] = [];
  for (const list of imageLists) {
    const entries = listOf(spec[list]);
    for (let index = 0; index < entries.length; index += 1) {
      const entry = objectOf(entries[index]);
      const { image, policy } = list === 'volumes' ? ofVolume(entry) : ofContainer(entry);
      const isNeverPulled = policy === 'Never';
      if (typeof image === 'string')
        places.push({ list, index, name: textOf(entry?.['name']), image, isNeverPulled });
    }
  }
  return places;
}

function ofContainer(entry: JsonObject | undefined) {
  return { image: entry?.['image'], policy: entry?.['imagePullPolicy'] };
}

function ofVolume(entry: JsonObject | undefined) {
  const source = objectOf(entry?.['image']);
  return { image: source?.['reference'], policy: source?.['pullPolicy'] };
}

/** Tells an image from the others of its pod, also when their order changes. */
export function keyOf({ list, index, name }: ImagePlace): string {
  return `${list}/${name === '' ? `#${index}` : name}`;
}

/** JSON pointer of an image of a pod. */
export function pointerOf({ pointer }: PodPlace, { list, index }: ImagePlace): string {
  return `${pointer}/spec/${list}/${index}/${list === 'volumes' ? 'image/reference' : 'image'}`;
}
