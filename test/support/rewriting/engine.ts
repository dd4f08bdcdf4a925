/**
 * What the conformance suite of image rewriting asks of an engine: the policy on the real API server, the webhook, and the rules as a function that says
 * what both should do.
 */
import type { RewriteSettings } from '../../../src/api/rewrite-settings.ts';
import type { RuleSources } from '../../../src/image/rules/table.ts';

/** A pod as it is sent, or as it comes back: only what rewriting looks at. */
export interface Pod {
  readonly metadata?: {
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly ownerReferences?: readonly object[];
  };
  readonly spec: {
    readonly containers: readonly Container[];
    readonly initContainers?: readonly Container[];
    readonly ephemeralContainers?: readonly Container[];
    readonly volumes?: readonly {
      readonly name: string;
      readonly image?: { readonly reference?: string; readonly pullPolicy?: string };
    }[];
    readonly imagePullSecrets?: readonly { readonly name: string }[];
    readonly priorityClassName?: string;
    readonly os?: { readonly name: string };
    readonly nodeSelector?: Readonly<Record<string, string>>;
    readonly nodeName?: string;
  };
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly imagePullPolicy?: string;
}

/** Rules and namespaces (by name, with their labels) that are in force until the next ones. */
export interface RewriteWorld {
  readonly sources: RuleSources;
  readonly settings?: Partial<RewriteSettings>;
  readonly namespaces: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** Images of one namespace `team` that is labelled for imageswap, under rules of their own. */
export interface Question {
  readonly sources: RuleSources;
  readonly images: readonly string[];
  readonly hasPullSecrets?: boolean;
}

/** What became of the images, or why the engine leaves the namespace to the other one. */
export type Answer = readonly string[] | { readonly leftToWebhook: string };

/** An update: what stands in the cluster, and what is sent instead. */
export interface Update {
  readonly namespace: string;
  readonly before: Pod;
  readonly after: Pod;
  readonly subresource?: 'ephemeralcontainers';
}

export interface RewriteEngine {
  readonly name: string;
  /** Answers each question by itself. */
  answers(questions: readonly Question[]): Promise<readonly Answer[]>;
  /** Puts rules in force; the namespaces are there afterwards. */
  load(world: RewriteWorld): Promise<void>;
  /** The pod as it would be created. */
  create(namespace: string, pod: Pod): Promise<Pod>;
  /** The pod as it would be after the update. */
  update(update: Update): Promise<Pod>;
}

/** Every image of a pod by `list/name`. */
export function imagesOf({ spec }: Pod): Record<string, string> {
  const lists = ['containers', 'initContainers', 'ephemeralContainers'] as const;
  const ofContainers = lists.flatMap((list) =>
    (spec[list] ?? []).map(({ name, image }) => [`${list}/${name}`, image] as const),
  );
  const ofVolumes = (spec.volumes ?? []).flatMap(({ name, image }) =>
    image?.reference === undefined ? [] : [[`volumes/${name}`, image.reference] as const],
  );
  return Object.fromEntries([...ofContainers, ...ofVolumes]);
}

/** Those of them that are never pulled. */
export function neverPulledOf({ spec }: Pod): ReadonlySet<string> {
  const lists = ['containers', 'initContainers', 'ephemeralContainers'] as const;
  const ofContainers = lists.flatMap((list) =>
    (spec[list] ?? [])
      .filter((each) => each.imagePullPolicy === 'Never')
      .map(({ name }) => `${list}/${name}`),
  );
  const ofVolumes = (spec.volumes ?? [])
    .filter(({ image }) => image?.pullPolicy === 'Never')
    .map(({ name }) => `volumes/${name}`);
  return new Set([...ofContainers, ...ofVolumes]);
}

/** The annotations that keep originals. */
export function originalsOf({ metadata }: Pod): Record<string, string> {
  const ours = Object.entries(metadata?.annotations ?? {}).filter(([key]) => /^original-/.test(key));
  return Object.fromEntries(ours);
}

export const defaultSettings: RewriteSettings = {
  engine: 'policy',
  namespace: 'default',
  mirrors: true,
  disableLabel: 'k8s.twr.io/imageswap',
  namespaces: 'all',
  skipOwners: ['Cluster.postgresql.cnpg.io'],
  annotate: true,
};
