/**
 * AdmissionReviews in and out (admission.k8s.io, v1 and v1beta1). Whatever comes in has a well-formed answer that allows: a pod is never denied
 * because of us. Pure.
 */
import { type JsonObject, objectOf, textOf, typeOf } from './json-value.ts';
import { parseBody } from './parse-body.ts';
import { recoverHead } from './recover-head.ts';

export const reviewVersions = ['admission.k8s.io/v1', 'admission.k8s.io/v1beta1'] as const;

export type ReviewVersion = (typeof reviewVersions)[number];

/** What is asked of us; fields that are missing or have a wrong type are empty. */
export interface AdmissionRequest {
  readonly uid: string;
  readonly kind: { readonly group: string; readonly kind: string };
  readonly subResource: string;
  readonly namespace: string;
  /** `CREATE`, `UPDATE`, `DELETE`, `CONNECT`, or whatever else was sent. */
  readonly operation: string;
  readonly dryRun: boolean;
  readonly object: JsonObject | undefined;
  readonly oldObject: JsonObject | undefined;
}

/** A review as it came: what its answer must repeat, and its request, or why it has none that can be used. Faults quote nothing of the body. */
export type Review = { readonly apiVersion: ReviewVersion; readonly uid: string } & (
  | { readonly request: AdmissionRequest }
  | { readonly fault: string }
);

/** One step of RFC 6902. */
export type PatchOperation =
  | { readonly op: 'replace' | 'add'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string };

/** Takes the text of a body. Never throws. */
export function parseReview(text: string): Review {
  try {
    return readReview(parseBody(text));
  } catch {
    return faultyReview(text, 'expected JSON');
  }
}

/** A review of which only `text`, its beginning or something broken, is known. */
export function faultyReview(text: string, fault: string): Review {
  const { apiVersion, uid } = recoverHead(text);
  return { apiVersion: versionOf(apiVersion), uid: uid ?? '', fault };
}

/** Takes any JSON value. */
export function readReview(value: unknown): Review {
  const review = objectOf(value);
  const apiVersion = versionOf(review?.['apiVersion']);
  if (review === undefined) return { apiVersion, uid: '', fault: `expected an object, got ${typeOf(value)}` };
  const request = objectOf(review['request']);
  if (request === undefined)
    return { apiVersion, uid: '', fault: `request: expected an object, got ${typeOf(review['request'])}` };
  const uid = textOf(request['uid']);
  const fault = faultOf(request);
  return fault === undefined ? { apiVersion, uid, request: requestOf(request) } : { apiVersion, uid, fault };
}

function versionOf(apiVersion: unknown): ReviewVersion {
  return reviewVersions.find((version) => version === apiVersion) ?? reviewVersions[0];
}

function faultOf(request: JsonObject): string | undefined {
  if (textOf(request['uid']) === '') return `request.uid: expected a text, got ${typeOf(request['uid'])}`;
  const name = ['object', 'oldObject'].find((each) => !isObjectOrNothing(request[each]));
  return name === undefined ? undefined : `request.${name}: expected an object, got ${typeOf(request[name])}`;
}

function isObjectOrNothing(value: unknown): boolean {
  return value === undefined || value === null || objectOf(value) !== undefined;
}

function requestOf(request: JsonObject): AdmissionRequest {
  const kind = objectOf(request['kind']);
  return {
    uid: textOf(request['uid']),
    kind: { group: textOf(kind?.['group']), kind: textOf(kind?.['kind']) },
    subResource: textOf(request['subResource']),
    namespace: textOf(request['namespace']),
    operation: textOf(request['operation']),
    dryRun: request['dryRun'] === true,
    object: objectOf(request['object']),
    oldObject: objectOf(request['oldObject']),
  };
}

/**
 * The answer's text: always allowed; a patch only where there is something to patch, as the API server demands. Put together by hand: the patch is most
 * of it, and base64 needs nobody to look for what is to be escaped.
 */
export function answerReview(
  { apiVersion, uid }: Pick<Review, 'apiVersion' | 'uid'>,
  { patch, warnings }: { patch: readonly PatchOperation[]; warnings: readonly string[] },
): string {
  const patched = patch.length === 0 ? '' : `,"patchType":"JSONPatch","patch":"${base64Of(patch)}"`;
  const warned = warnings.length === 0 ? '' : `,"warnings":${JSON.stringify(warnings)}`;
  return `{"kind":"AdmissionReview","apiVersion":"${apiVersion}","response":{"uid":${JSON.stringify(uid)},"allowed":true${patched}${warned}}}`;
}

function base64Of(patch: readonly PatchOperation[]): string {
  return Buffer.from(JSON.stringify(patch)).toString('base64');
}
