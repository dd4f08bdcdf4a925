/** The rules as a function, with what is said of pods around them: what both engines are compared with. */

import type { RewriteSettings } from '../../../src/api/rewrite-settings.ts';
import { bypassOf } from '../../../src/image/bypass.ts';
import {
  compileRules,
  type RuleTable,
  rewriteImage,
  type SourceName,
} from '../../../src/image/rules/table.ts';
import { namespaceScope, objectOptOut } from '../../../src/rewriting/scope.ts';
import {
  type Answer,
  defaultSettings,
  imagesOf,
  neverPulledOf,
  type Pod,
  type Question,
  type RewriteEngine,
  type RewriteWorld,
  type Update,
} from './engine.ts';

export class FunctionEngine implements RewriteEngine {
  readonly name = 'function';
  #table: RuleTable = compileRules({});
  #world: RewriteWorld = { sources: {}, namespaces: {} };

  async answers(questions: readonly Question[]): Promise<readonly Answer[]> {
    return questions.map(({ sources, images, hasPullSecrets }) => {
      const table = compileRules(sources);
      const request = { namespace: 'team', bypass: hasPullSecrets ? ('pullSecrets' as const) : undefined };
      return images.map((image) => rewriteImage(table, image, request).result);
    });
  }

  async load(world: RewriteWorld): Promise<void> {
    this.#world = world;
    this.#table = compileRules(world.sources);
  }

  async create(namespace: string, pod: Pod): Promise<Pod> {
    return this.#admit(namespace, pod);
  }

  async update({ namespace, before, after, subresource }: Update): Promise<Pod> {
    return this.#admit(namespace, after, before, subresource === undefined);
  }

  #admit(namespace: string, pod: Pod, before?: Pod, takesAnnotations = true): Pod {
    const settings = { ...defaultSettings, ...this.#world.settings };
    const sources = this.#sources(namespace, pod, settings);
    const bypass = bypassOf(pod.spec);
    const neverPulled = neverPulledOf(pod);
    const admitted = structuredClone(pod) as Writable<Pod>;
    const annotations = { ...pod.metadata?.annotations };
    const imagesBefore = before === undefined ? {} : imagesOf(before);
    for (const [key, image] of Object.entries(imagesOf(pod))) {
      if (imagesBefore[key] === image) continue;
      const request = { namespace, bypass, isNeverPulled: neverPulled.has(key) };
      const { result } = rewriteImage(this.#table, image, request, sources);
      const [list = '', name = ''] = key.split('/');
      put(admitted, list, name, result);
      const annotation = `original-${list === 'volumes' ? 'volume-' : ''}image.k8s.osp.tech/${name}`;
      if (!settings.annotate || !takesAnnotations) continue;
      if (result !== image) annotations[annotation] = image;
      else if (annotations[annotation] === before?.metadata?.annotations?.[annotation])
        delete annotations[annotation];
    }
    return { ...admitted, metadata: { ...pod.metadata, annotations } };
  }

  #sources(namespace: string, pod: Pod, settings: RewriteSettings): readonly SourceName[] {
    const { sources } = namespaceScope(namespace, this.#world.namespaces[namespace], settings);
    const isGuarded = (pod.metadata?.ownerReferences ?? []).some((owner) => {
      const { controller, kind, apiVersion } = owner as {
        controller?: boolean;
        kind: string;
        apiVersion: string;
      };
      return controller === true && settings.skipOwners.includes(`${kind}.${apiVersion.split('/')[0]}`);
    });
    return isGuarded || objectOptOut(pod.metadata ?? {}, settings) !== undefined ? [] : sources;
  }
}

type Writable<T> = { -readonly [K in keyof T]: Writable<T[K]> };

function put({ spec }: Writable<Pod>, list: string, name: string, image: string): void {
  const entries = spec[list as 'containers'] as unknown as { name: string; image: unknown }[];
  for (const entry of entries)
    if (entry.name === name)
      entry.image = list === 'volumes' ? { ...(entry.image as object), reference: image } : image;
}
