/**
 * Our own conformance suite for the pull workflow of the OCI distribution specification 1.1: data of checks, each naming the
 * section it stands under. Written against `Subject`, so that it is proved on registries that are not ours.
 */
import { baseChecks } from './base.ts';
import { blobChecks } from './blobs.ts';
import { malformedChecks } from './malformed.ts';
import { manifestChecks } from './manifests.ts';
import { referrerChecks } from './referrers.ts';
import type { Check } from './subject.ts';
import { tagChecks } from './tags.ts';

export const suite: readonly Check[] = [
  ...baseChecks,
  ...manifestChecks,
  ...blobChecks,
  ...tagChecks,
  ...referrerChecks,
  ...malformedChecks,
];
