/** The images of a pod in CEL. Pure. */

import {
  originalImageAnnotation,
  originalVolumeImageAnnotation,
} from '../../../rewriting/original-annotations.ts';
import { anyOf } from './cel.ts';

const containerLists = ['containers', 'initContainers', 'ephemeralContainers'];

/** One of each image, where `when` holds; `c` is the container, or the volume. */
interface OfEach {
  readonly when: string;
  readonly value: string;
}

/** A list for all images of `object` or `oldObject`. */
function listed(object: string, ofContainer: OfEach, ofVolume: OfEach): string {
  const list = (name: string, { when, value }: OfEach) =>
    `${object}.spec.?${name}.orValue([]).map(c, ${when}, ${value})`;
  const ofContainers = containerLists.map((name) => list(name, ofContainer));
  return `(${[...ofContainers, list('volumes', ofVolume)].join(' + ')})`;
}

/** The images, as texts. */
export function imagesOf(object: string): string {
  return listed(
    object,
    { when: 'has(c.image)', value: 'string(c.image)' },
    { when: 'has(c.image) && has(c.image.reference)', value: 'string(c.image.reference)' },
  );
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
  const ofEach = (policy: string, annotation: string): OfEach => ({
    when: `c.?${policy}.orValue('') == 'Never'`,
    value: `'${annotation}/' + string(c.name)`,
  });
  return listed(
    object,
    ofEach('imagePullPolicy', originalImageAnnotation),
    ofEach('image.?pullPolicy', originalVolumeImageAnnotation),
  );
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
