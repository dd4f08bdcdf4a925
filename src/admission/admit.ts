/**
 * What becomes of one admission request: a request, the rules and what is known of its namespace in, a patch out. Pure; the server around it is
 * `admission-server.ts`. `src/admission` may be imported by `src/cli` only.
 */
import type { RewriteSettings } from '../api/rewrite-settings.ts';
import { bypassOf } from '../image/bypass.ts';
import type { RuleTable } from '../image/rules/table.ts';
import type { Rewrite } from '../image/settle.ts';
import { objectOptOut } from '../rewriting/scope.ts';
import { type JsonObject, objectOf } from './json-value.ts';
import { controllerOf, guardedController } from './loop-guard.ts';
import { type AnnotatedImages, annotationOperations } from './original-images.ts';
import { pathScope, type ReviewPath } from './paths.ts';
import { type ImagePlace, imagesIn, type PodPlace, podIn, pointerOf } from './pod-images.ts';
import type { AdmissionRequest, PatchOperation } from './review.ts';
import { rememberingRewriter } from './rewrite-memory.ts';
import { type RestoredImage, updatedImages } from './updated-images.ts';
import { fitWarnings } from './warnings.ts';

export type AdmitSettings = Pick<RewriteSettings, 'namespaces' | 'disableLabel' | 'skipOwners' | 'annotate'>;

export interface AdmitInput {
  readonly request: AdmissionRequest;
  readonly path: ReviewPath;
  readonly namespaceLabels: Readonly<Record<string, string>> | undefined;
  readonly table: RuleTable;
  readonly settings: AdmitSettings;
}

/**
 * Why no rule was asked: by operation, kind, or because there is no pod in it; by namespace or object, which have opted out; by the controller,
 * which would make the pod, or the object with a template, again.
 */
export type LeftAlone = 'operation' | 'kind' | 'noPod' | 'namespace' | 'object' | 'owner';

/** One image, and what became of it. `leftToPods`: a mirror's rule is for it, and whether that applies is known only of pods. */
export interface Decision {
  readonly place: ImagePlace;
  readonly rewrite: Rewrite;
  readonly leftToPods: boolean;
}

export interface Admission {
  readonly patch: readonly PatchOperation[];
  readonly warnings: readonly string[];
  /** Of every image that a rule could have been for. */
  readonly decisions: readonly Decision[];
  /** Why there are none. `why` is for people. */
  readonly leftAlone?: { readonly reason: LeftAlone; readonly why: string };
}

/** The part of an object that is looked at. */
interface Subject {
  readonly pod: PodPlace;
  /** The same before an update. */
  readonly before: PodPlace | undefined;
  /** Those that rules are asked for. */
  readonly images: readonly ImagePlace[];
  readonly restored: readonly RestoredImage[];
}

/** Decides. The patch replaces images and changes annotations of ours, nothing else; applied, and asked again, it is empty. */
export function admit(input: AdmitInput): Admission {
  const { request, path, namespaceLabels, table, settings } = input;
  const unfit = unfitness(request, path);
  if (unfit !== undefined) return leftAlone(unfit, '');
  const subject = subjectOf(request);
  if (subject === undefined) return leftAlone('noPod', '');
  const scope = pathScope(path, request.namespace, namespaceLabels, settings);
  if (scope.optedOut !== undefined) return leftAlone('namespace', scope.optedOut);
  const optedOut = optOutOf(request.object, subject.pod, settings);
  if (optedOut !== undefined) return leftAlone('object', optedOut);
  const owner = comparingOwner(request.object, subject.pod, settings);
  if (owner !== undefined) return leftAlone('owner', `its controller is a ${owner}`);
  const about = { namespace: request.namespace, bypass: bypassOf(subject.pod.spec) };
  const rewriteImage = rememberingRewriter(table, scope.sources, about);
  const decisions = subject.images.map((place): Decision => {
    const rewrite = rewriteImage(place.image, place.isNeverPulled);
    return { place, rewrite, leftToPods: subject.pod.isTemplate && hasMirrorRule(rewrite) };
  });
  const isMadeOf = (image: string, original: string) => rewriteImage(original).result === image;
  return { ...changesOf(decisions, { ...subject, isMadeOf }, request, settings), decisions };
}

/** Whether the patch changes this image. */
export function isRewritten({ place, rewrite, leftToPods }: Decision): boolean {
  return !leftToPods && rewrite.result !== place.image;
}

function isLeft(decision: Decision): boolean {
  return !isRewritten(decision);
}

function leftAlone(reason: LeftAlone, why: string): Admission {
  return { patch: [], warnings: [], decisions: [], leftAlone: { reason, why } };
}

function unfitness(request: AdmissionRequest, path: ReviewPath): 'operation' | 'kind' | undefined {
  const { kind, subResource, operation } = request;
  if (!path.operations.includes(operation)) return 'operation';
  const isPod = kind.group === '' && kind.kind === 'Pod';
  if (subResource === '') return isPod || !path.onlyPods ? undefined : 'kind';
  return isPod && isEphemeral(request) && !path.onlyPods ? undefined : 'kind';
}

function isEphemeral({ subResource }: AdmissionRequest): boolean {
  return subResource === 'ephemeralcontainers';
}

/** On an update only images that changed count: a running pod is not touched because somebody labels it. */
function subjectOf(request: AdmissionRequest): Subject | undefined {
  const { object, oldObject, kind, operation } = request;
  const pod = object && podIn(kind, object);
  if (pod === undefined) return undefined;
  const all = imagesIn(pod);
  const images = isEphemeral(request) ? all.filter(({ list }) => list === 'ephemeralContainers') : all;
  if (operation !== 'UPDATE') return { pod, before: undefined, images, restored: [] };
  const before = oldObject && podIn(kind, oldObject);
  // Without the state before nothing can be said to have changed.
  if (oldObject === undefined) return { pod, before, images: [], restored: [] };
  const { changed, restored } = updatedImages(images, before, kind);
  return { pod, before, images: changed, restored };
}

function optOutOf(
  object: JsonObject | undefined,
  { metadata }: PodPlace,
  settings: AdmitSettings,
): string | undefined {
  return [objectOf(object?.['metadata']), metadata]
    .map((each) =>
      objectOptOut({ labels: textsOf(each, 'labels'), annotations: textsOf(each, 'annotations') }, settings),
    )
    .find((why) => why !== undefined);
}

function textsOf(metadata: JsonObject | undefined, field: string): Record<string, string> | undefined {
  return objectOf(metadata?.[field]) as Record<string, string> | undefined;
}

/**
 * A template with a controller is its copy, of a Deployment's in a ReplicaSet: one that became another would be made again for ever. The pods are rewritten
 * when they are made.
 */
function comparingOwner(
  object: JsonObject | undefined,
  { isTemplate }: PodPlace,
  { skipOwners }: AdmitSettings,
): string | undefined {
  const metadata = objectOf(object?.['metadata']);
  return isTemplate ? controllerOf(metadata) : guardedController(metadata, skipOwners);
}

/** Pull secrets come to a pod by its service account, and a mirror may be away by then: templates keep what mirrors are for. */
function hasMirrorRule({ rule, steps, passedOver }: Rewrite): boolean {
  return (
    [rule, ...steps.map((step) => step.rule)].some((each) => each?.source === 'mirror') ||
    passedOver.some(({ reason }) => reason === 'mirrorUnavailable')
  );
}

function changesOf(
  decisions: readonly Decision[],
  { pod, before, restored, isMadeOf }: Subject & Pick<AnnotatedImages, 'isMadeOf'>,
  request: AdmissionRequest,
  { annotate }: AdmitSettings,
): Pick<Admission, 'patch' | 'warnings'> {
  const rewritten = decisions.filter(isRewritten);
  const replace = (place: ImagePlace, value: string): PatchOperation => ({
    op: 'replace',
    path: pointerOf(pod, place),
    value,
  });
  const images = [
    ...rewritten.map(({ place, rewrite }) => replace(place, rewrite.result)),
    ...restored.map(({ place, image }) => replace(place, image)),
  ];
  const warnings = fitWarnings(
    decisions.flatMap(({ rewrite }) => (rewrite.warning === undefined ? [] : [rewrite.warning])),
  );
  // The API server does not take metadata with a subresource.
  if (isEphemeral(request)) return { patch: images, warnings };
  const annotations = annotationOperations(pod, {
    // What is restored is so with its annotation, which cannot change either.
    rewritten: [...(annotate ? rewritten : []), ...restored].map(({ place }) => place),
    left: annotate && before !== undefined ? decisions.filter(isLeft).map(({ place }) => place) : [],
    before,
    isMadeOf,
  });
  return { patch: [...images, ...annotations], warnings };
}
