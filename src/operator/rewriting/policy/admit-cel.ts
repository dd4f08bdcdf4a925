/** Which pods the policy takes, and the patch it makes of them, in CEL. Pure. */

import { ownPodsLabel } from '../../../api/names.ts';
import { mirrorPodAnnotation } from '../../../api/rewrite-selectors.ts';
import type { RewriteSettings } from '../../../api/rewrite-settings.ts';
import {
  mostAnnotationBytes,
  originalImageAnnotation,
  originalVolumeImageAnnotation,
} from '../../../rewriting/original-annotations.ts';
import { allOf, anyOf, bind, quoted } from './cel.ts';
import { hostOf, registryWithSlash } from './reference-cel.ts';
import { anyImage, imagesOf } from './rows-cel.ts';

const rules = 'params.spec.rules';

/**
 * The match condition: cheap, and false for most pods that have nothing to rewrite. It cannot use variables, and deciding twice would cost more than
 * a patch now and then that changes nothing. The API server asks it twice of a pod that is rewritten.
 */
export function matchCondition(settings: Pick<RewriteSettings, 'disableLabel' | 'skipOwners'>): string {
  const isOptedOut = [
    hasNotLabel(settings.disableLabel, 'disabled'),
    hasNotLabel(ownPodsLabel.key, ownPodsLabel.value),
  ];
  return allOf([
    `has(${rules})`,
    // A selector of the policy is enough for a pod that is made; of one that changes it asks the old labels, too.
    anyOf(['oldObject == null', allOf([...isOptedOut, `${imagesOf('object')} != ${imagesOf('oldObject')}`])]),
    `!(${quoted(mirrorPodAnnotation)} in ${annotations('object')})`,
    ...(settings.skipOwners.length === 0 ? [] : [isNotOwnedBy(settings.skipOwners)]),
    anyOf([
      `size(${rules}.images) > 0 && (${anyImage('object', (image) => `${image} in ${rules}.images`)})`,
      bind(
        `${rules}.concerns`,
        'k',
        anyImage('object', (image) => isConcerned(image, 'k')),
      ),
      // An image that no rule is for any more leaves what its predecessor was.
      `oldObject != null && ${annotations('object')}.exists(k, ${isOurs('k')})`,
    ]),
  ]);
}

function hasNotLabel(label: string, value: string): string {
  return `object.metadata.?labels[?${quoted(label)}].orValue('') != ${quoted(value)}`;
}

/** Kinds are `Kind.group`; without a group those of the core. */
function isNotOwnedBy(owners: readonly string[]): string {
  const isOwner = anyOf(
    owners.map((owner) => {
      const [kind = '', ...group] = owner.split('.');
      const isOfGroup =
        group.length === 0
          ? "!o.apiVersion.contains('/')"
          : `o.apiVersion.startsWith(${quoted(`${group.join('.')}/`)})`;
      return `o.kind == ${quoted(kind)} && ${isOfGroup}`;
    }),
  );
  return `!object.metadata.?ownerReferences.orValue([]).exists(o, (${isOwner}) && o.?controller.orValue(false))`;
}

function isConcerned(image: string, concerns: string): string {
  const byRegistry = anyOf([
    `${hostOf(image)} in ${concerns}.hosts`,
    `${concerns}.dockerHub && ${registryWithSlash(image)} == ''`,
  ]);
  return `${concerns}.everything ? !${concerns}.left.exists(b, ${image}.startsWith(b)) : (${byRegistry})`;
}

/** The mutation: a list of JSON patch operations. The subresource for ephemeral containers takes no annotations. */
export function patchExpression({ annotate }: Pick<RewriteSettings, 'annotate'>): string {
  const replace = "variables.changes.map(c, JSONPatch{op: 'replace', path: c[0], value: c[3]})";
  if (!annotate) return replace;
  return `${replace} + (request.?subResource.orValue('') != '' ? [] : ${dropStale()} + (${fitsAnnotations()} ? ${keepOriginals()} : []))`;
}

/** What the images were. */
function keepOriginals(): string {
  const makeMap = "[JSONPatch{op: 'add', path: '/metadata/annotations', value: {}}]";
  const isNeeded = allOf(['!has(object.metadata.annotations)', 'size(variables.changes) > 0']);
  const keep = `variables.changes.map(c, JSONPatch{op: 'add', path: ${annotationPath('c')}, value: c[2]})`;
  return `(${isNeeded} ? ${makeMap} : []) + ${keep}`;
}

/** Of images that changed to what no rule rewrites, unless the annotation was changed as well. */
function dropStale(): string {
  const [now, before] = ['object', 'oldObject'].map((object) => `${annotations(object)}[?r[1]]`);
  const isStale = allOf([
    `${now}.hasValue()`,
    `${now} == ${before}`,
    '!variables.changes.exists(c, c[0] == r[0])',
  ]);
  return `(oldObject == null ? [] : variables.rows.filter(r, ${isStale}).map(r, JSONPatch{op: 'remove', path: ${annotationPath('r')}}))`;
}

/** The API server takes 256 KiB of annotations on an object; no pod is refused because of ours. A character has four bytes at most. */
function fitsAnnotations(): string {
  const together = (size: (text: string) => string) => {
    const theirs = `${annotations('object')}.transformList(k, v, ${size('k')} + ${size('string(v)')})`;
    const ours = `variables.changes.map(c, ${size('c[1]')} + ${size('c[2]')})`;
    return `(${theirs} + ${ours}).sum()`;
  };
  const characters = together((text) => `size(${text})`);
  const bytes = together((text) => `size(bytes(${text}))`);
  return `(${characters} * 4 <= ${mostAnnotationBytes} || ${bytes} <= ${mostAnnotationBytes})`;
}

function annotations(object: string): string {
  return `${object}.metadata.?annotations.orValue({})`;
}

function annotationPath(row: string): string {
  return `'/metadata/annotations/' + jsonpatch.escapeKey(${row}[1])`;
}

function isOurs(key: string): string {
  return anyOf(
    [originalImageAnnotation, originalVolumeImageAnnotation].map(
      (prefix) => `${key}.startsWith('${prefix}/')`,
    ),
  );
}
