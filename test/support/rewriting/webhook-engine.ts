/** Our webhook as a process that the real API server calls. Each set of rules that is not imageswap's map gets a process of its own. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RewriteSettings } from '../../../src/api/rewrite-settings.ts';
import type { RuleSources } from '../../../src/image/rules/table.ts';
import { eventually } from '../eventually.ts';
import type { WebhookProcess } from '../webhook-process.ts';
import type { WebhookWorld } from '../webhook-world.ts';
import { ApiServerPods } from './api-server-pods.ts';
import {
  type Answer,
  defaultSettings,
  type Pod,
  type Question,
  type RewriteEngine,
  type RewriteWorld,
  type Update,
} from './engine.ts';

const enabled = { 'k8s.twr.io/imageswap': 'enabled' };
const imageMaps = '/apis/mapper.imagerelocation.pivotal.io/v1alpha1';
const mirrors = '/apis/k8s.osp.tech/v1/registrymirrors';

export class WebhookEngine implements RewriteEngine {
  readonly name = 'webhook';
  readonly #world: WebhookWorld;
  readonly #pods: ApiServerPods;
  #process: WebhookProcess | undefined;
  #marks = 0;

  constructor(world: WebhookWorld) {
    this.#world = world;
    this.#pods = new ApiServerPods(world.plane);
  }

  /** Of imageswap's rules: maps follow one another in the ConfigMap, prefixes in processes. */
  async answers(questions: readonly Question[]): Promise<readonly Answer[]> {
    const answers = new Map<Question, Answer>();
    const maps = questions.filter(
      ({ sources: { imageswap } }) => imageswap !== undefined && 'map' in imageswap,
    );
    await this.#begin({}, { team: enabled });
    for (const question of maps) answers.set(question, await this.#withMap(question));
    for (const question of questions) {
      if (maps.includes(question)) continue;
      await this.load({ sources: question.sources, namespaces: { team: enabled } });
      answers.set(question, (await this.#ask(question.images)).map(imageOf));
    }
    return questions.map((question) => answers.get(question) ?? []);
  }

  async load({ sources, settings, namespaces }: RewriteWorld): Promise<void> {
    for (const namespace of await this.#namespacesWithMaps())
      await this.#world.plane.adminFetch(`${imageMaps}/namespaces/${namespace}/imagemaps`, {
        method: 'DELETE',
      });
    await this.#world.plane.adminFetch(mirrors, { method: 'DELETE' });
    for (const [name, labels] of Object.entries(namespaces)) await this.#world.namespace(name, labels);
    for (const { namespace, name, map } of sources.imageMaps ?? []) await this.#apply(namespace, name, map);
    for (const { name, masquerade, address = '', available } of sources.mirrors ?? [])
      await this.#world.mirror(name, masquerade, address, available);
    await this.#begin(await this.#environment(sources, { ...defaultSettings, ...settings }), {});
  }

  create(namespace: string, pod: Pod): Promise<Pod> {
    return this.#pods.create(namespace, pod);
  }

  update(update: Update): Promise<Pod> {
    return this.#pods.update(update);
  }

  /** Puts a process in the place of the one before; it is known to be called by a rule that no other one has. */
  async #begin(
    environment: Record<string, string>,
    namespaces: Readonly<Record<string, Readonly<Record<string, string>>>>,
  ): Promise<void> {
    const mark = this.#nextMark();
    for (const [name, labels] of Object.entries({ ...namespaces, [mark]: {} }))
      await this.#world.namespace(name, labels);
    await this.#apply(mark, 'mark', [{ from: mark, to: `${mark}-seen` }]);
    const before = this.#process;
    this.#process = await this.#world.webhook(environment);
    await this.#world.register([{ name: 'pods', port: this.#process.port, path: '/rewrite' }]);
    await eventually(
      async () => {
        const pod = await this.create(mark, { spec: { containers: [{ name: 'mark', image: mark }] } });
        assert.equal(pod.spec.containers[0]?.image, `${mark}-seen`);
      },
      { message: 'The webhook was not called' },
    );
    await before?.kill();
  }

  async #withMap({ sources: { imageswap }, images }: Question): Promise<Answer> {
    assert.ok(imageswap !== undefined && 'map' in imageswap);
    const mark = this.#nextMark();
    await this.#world.plane.apply({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'imageswap-maps', namespace: 'default' },
      data: { maps: `${imageswap.map}\n[EXACT]${mark}::${mark}-seen\n` },
    });
    return eventually(
      async () => {
        const containers = await this.#ask([...images, mark]);
        assert.equal(containers.at(-1)?.image, `${mark}-seen`);
        return containers.slice(0, -1).map(imageOf);
      },
      { interval: 20, message: `The map was not in force: ${imageswap.map}` },
    );
  }

  async #ask(images: readonly string[]): Promise<Pod['spec']['containers']> {
    const containers = images.map((image, at) => ({ name: `c${at}`, image }));
    return (await this.create('team', { spec: { containers } })).spec.containers;
  }

  async #environment(
    { imageswap, gilly }: RuleSources,
    settings: RewriteSettings,
  ): Promise<Record<string, string>> {
    const file = join(this.#world.folder, `map-${this.#marks}`);
    if (imageswap !== undefined && 'map' in imageswap) await writeFile(file, imageswap.map);
    return {
      ADDRESSING_SCHEME: 'services',
      REWRITE_ANNOTATE: String(settings.annotate),
      REWRITE_NAMESPACES: settings.namespaces,
      REWRITE_SKIP_OWNERS: settings.skipOwners.join(','),
      IMAGESWAP_DISABLE_LABEL: settings.disableLabel,
      ...(imageswap !== undefined && 'map' in imageswap && { IMAGESWAP_MAPS_FILE: file }),
      ...(imageswap !== undefined &&
        'legacyPrefix' in imageswap && { IMAGESWAP_MODE: 'LEGACY', IMAGE_PREFIX: imageswap.legacyPrefix }),
      ...(gilly !== undefined && {
        GILLY_REGISTRY: gilly.registry,
        GILLY_EXCLUDE_REGISTRIES: gilly.exclude.join(','),
        GILLY_KEEP_SOURCE: String(gilly.keepSource),
      }),
    };
  }

  async #apply(
    namespace: string,
    name: string,
    map: readonly { readonly from: string; readonly to: string }[],
  ): Promise<void> {
    await this.#world.plane.apply({
      apiVersion: 'mapper.imagerelocation.pivotal.io/v1alpha1',
      kind: 'ImageMap',
      metadata: { name, namespace },
      spec: { map: [...map] },
    });
  }

  async #namespacesWithMaps(): Promise<readonly string[]> {
    const { items } = await this.#world.plane.adminFetch<{ items: { metadata: { namespace: string } }[] }>(
      `${imageMaps}/imagemaps`,
    );
    return [...new Set(items.map(({ metadata }) => metadata.namespace))];
  }

  #nextMark(): string {
    this.#marks += 1;
    return `mark-${this.#marks}`;
  }
}

function imageOf({ image }: { readonly image: string }): string {
  return image;
}
