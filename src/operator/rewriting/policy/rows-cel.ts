/** The images of a pod in CEL. Pure. */

import {
  originalImageAnnotation,
  originalVolumeImageAnnotation,
} from '../../../rewriting/original-annotations.ts';
import { anyOf } from './cel.ts';

const containerLists = ['containers', 'initContainers', 'ephemeralContainers'];

/** The images of `object` or `oldObject`, as texts. */
export function imagesOf(object: string): string {
  const ofContainers = containerLists.map(
    (list) => `${object}.spec.?${list}.orValue([]).map(c, has(c.image), string(c.image))`,
  );
  const isImage = 'has(c.image) && has(c.image.reference)';
  const ofVolumes = `${object}.spec.?volumes.orValue([]).map(c, ${isImage}, string(c.image.reference))`;
  return `(${[...ofContainers, ofVolumes].join(' + ')})`;
}

/** Whether something is true of any of them; nothing is asked further than that. */
export function anyImage(object: string, of: (image: string) => string): string {
  const lists = containerLists.map(
    (list) => `${object}.spec.?${list}.orValue([]).exists(c, has(c.image) && (${of('c.image')}))`,
  );
  const isImage = 'has(c.image) && has(c.image.reference)';
  const ofVolumes = `${object}.spec.?volumes.orValue([]).exists(c, ${isImage} && (${of('c.image.reference')}))`;
  return anyOf([...lists, ofVolumes]);
}

/** The annotations, as in rows, of images that are on the node or nowhere. */
export function neverPulled(object: string): string {
  const isNever = (policy: string) => `c.?${policy}.orValue('') == 'Never'`;
  const ofContainers = containerLists.map(
    (list) =>
      `${object}.spec.?${list}.orValue([]).map(c, ${isNever('imagePullPolicy')}, '${originalImageAnnotation}/' + string(c.name))`,
  );
  const ofVolumes = `${object}.spec.?volumes.orValue([]).map(c, ${isNever('image.?pullPolicy')}, '${originalVolumeImageAnnotation}/' + string(c.name))`;
  return `(${[...ofContainers, ofVolumes].join(' + ')})`;
}

/** The same as rows: path for a patch, annotation, image. Annotations are names, too: containers of all lists have different ones. */
export function rowsOf(object: string): string {
  const ofContainers = containerLists.map((list) =>
    rows(`${object}.spec.?${list}`, 'has(c.image)', `/spec/${list}/`, 'image', originalImageAnnotation),
  );
  const isImage = 'has(c.image) && has(c.image.reference)';
  const ofVolumes = rows(
    `${object}.spec.?volumes`,
    isImage,
    '/spec/volumes/',
    'image/reference',
    originalVolumeImageAnnotation,
  );
  return `(${[...ofContainers, ofVolumes].join(' + ')})`;
}

function rows(list: string, has: string, path: string, field: string, annotation: string): string {
  const image = field.replace('/', '.');
  const row = `['${path}' + string(i) + '/${field}', '${annotation}/' + string(c.name), string(c.${image})]`;
  return `${list}.orValue([]).transformList(i, c, ${has}, ${row})`;
}
