/**
 * Kubernetes objects of a mirror: typed view -> `templates/*.yaml.hbs` -> object. Pure; used by `src/operator` and `render`.
 * Imports `src/api`, and the one render function of `src/cache`.
 */
import { load, type YAMLException } from 'js-yaml';
import { apiVersion, kind } from '../api/kind.ts';
import { ownPodsLabel, selectorLabels } from '../api/names.ts';
import type { RegistryMirror } from '../api/registry-mirror.ts';
import type { OperatorSettings } from '../api/settings.ts';
import { renderTemplate } from '../cache/render.ts';

/** Any object as it is sent to the API server. */
export interface KubernetesObject {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    namespace: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    ownerReferences?: OwnerReference[];
  };
  [field: string]: unknown;
}

/** The mirror as owner of an object. */
export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller: boolean;
  blockOwnerDeletion: boolean;
}

/** What every object is made from. */
export interface MirrorInput {
  readonly mirror: RegistryMirror;
  readonly settings: OperatorSettings;
}

/** The part of a view that every template prints as `metadata`. */
export interface MetadataView {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Empty where there is no owner: printed without a cluster, or meant to outlive the mirror. */
  readonly ownerReferences: readonly OwnerReference[];
}

/** Metadata of the object `name` of a mirror; `labels` never override those by which objects of a mirror are found. */
export function metadataView(
  { mirror, settings }: MirrorInput,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): MetadataView {
  return {
    name,
    namespace: settings.namespace,
    labels: { ...labels, ...selectorLabels(mirror.metadata.name) },
    ownerReferences: ownerReferences(mirror),
  };
}

/** Prints `templates/<template>.hbs` for a view and parses it; a value of the view can become nothing but that value. */
export function objectFrom(template: string, view: object): KubernetesObject {
  const text = renderTemplate(template, view);
  try {
    return load(text) as KubernetesObject;
  } catch (error) {
    // The parser's own error quotes the text, and that may be a Secret's.
    const { reason, mark } = error as YAMLException;
    throw new Error(
      `templates/${template}.hbs: ${reason} in line ${(mark?.line ?? 0) + 1} of what it printed`,
    );
  }
}

function ownerReferences(mirror: RegistryMirror): OwnerReference[] {
  const { name, uid } = mirror.metadata;
  if (uid === undefined) return [];
  return [{ apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true }];
}

/** Labels of pods: the user's, ours over them, and the one by which image rewriting leaves the mirror's own pods alone. */
export function podLabels(
  { templateLabels }: OperatorSettings,
  labels: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  return { ...templateLabels, ...labels, [ownPodsLabel.key]: ownPodsLabel.value };
}
