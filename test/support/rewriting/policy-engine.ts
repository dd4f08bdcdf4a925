/**
 * The policy on the real API server, as the plan wants it. The server learns of policies and bindings once a second, and of parameters at once; so each
 * change ends with a canary, by which it is known that all before it is in force.
 */
import assert from 'node:assert/strict';
import type { RuleSet } from '../../../src/api/rewrite-rules.ts';
import { rewriteRulesApiVersion } from '../../../src/api/rewrite-rules-kind.ts';
import { compileRules, sourceNames } from '../../../src/image/rules/table.ts';
import { compileRuleSet } from '../../../src/operator/rewriting/policy/compile.ts';
import { policyName } from '../../../src/operator/rewriting/policy/names.ts';
import { parametersObject } from '../../../src/operator/rewriting/policy/parameters.ts';
import { planPolicy } from '../../../src/operator/rewriting/policy/plan.ts';
import { ownBinding, policyObject } from '../../../src/operator/rewriting/policy/policy-object.ts';
import { policyVersion } from '../../kubernetes/policy-version.ts';
import type { ControlPlane } from '../control-plane.ts';
import { eventually } from '../eventually.ts';
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

// biome-ignore lint/suspicious/noExplicitAny: objects of every kind, as they are sent.
type Any = any;

/** So many rule sets are asked at a time, each in a namespace of its own. */
const atOnce = 40;
const bindings = `/apis/admissionregistration.k8s.io/${policyVersion}/mutatingadmissionpolicybindings`;

/** A namespace of its own, and a rule in it. */
interface Canary {
  readonly namespace: string;
  readonly map: readonly [{ readonly from: string; readonly to: string }];
}

export class PolicyEngine implements RewriteEngine {
  readonly name = 'policy';
  readonly #plane: ControlPlane;
  readonly #pods: ApiServerPods;
  #marks = 0;

  constructor(plane: ControlPlane) {
    this.#plane = plane;
    this.#pods = new ApiServerPods(plane);
  }

  async answers(questions: readonly Question[]): Promise<readonly Answer[]> {
    const names = Array.from({ length: atOnce }, (_, at) => `set-${at}`);
    await this.#prepare(names);
    const answers: Answer[] = [];
    for (let at = 0; at < questions.length; at += atOnce) {
      const some = questions.slice(at, at + atOnce);
      answers.push(
        ...(await Promise.all(some.map((question, index) => this.#answer(names[index] ?? '', question)))),
      );
    }
    return answers;
  }

  async load({ sources, settings, namespaces }: RewriteWorld): Promise<void> {
    const canary = await this.#newCanary();
    for (const [name, labels] of Object.entries(namespaces)) await this.#namespace(name, labels);
    const maps = [...(sources.imageMaps ?? []), { ...canary, name: 'canary', creationTimestamp: '' }];
    const plan = planPolicy({
      table: compileRules({ ...sources, imageMaps: maps }),
      namespaces: Object.entries({ ...namespaces, [canary.namespace]: {} }).map(([name, labels]) => ({
        name,
        labels,
      })),
      settings: { ...defaultSettings, ...settings },
      served: policyVersion,
    });
    for (const parameters of plan.parameters) await this.#plane.apply(parametersObject(parameters) as Any);
    await this.#plane.apply(plan.policy as Any);
    await this.#bind(plan.bindings, canary);
  }

  async create(namespace: string, pod: Pod): Promise<Pod> {
    return this.#pods.create(namespace, pod);
  }

  async update(update: Update): Promise<Pod> {
    return this.#pods.update(update);
  }

  /** A parameter object by itself, in a namespace that `answers` has prepared; returns what becomes of images. */
  async ask(namespace: string, rules: RuleSet, pod: Pod): Promise<readonly string[]> {
    const mark = this.#nextMark();
    await this.#parameters(namespace, policyName, marked(rules, mark));
    const containers = [...pod.spec.containers, { name: 'mark', image: mark }];
    const sent = { ...pod, spec: { ...pod.spec, containers } };
    const admitted = await eventually(
      async () => {
        const found = await this.create(namespace, sent);
        assert.equal(found.spec.containers.at(-1)?.image, `${mark}-seen`);
        return found;
      },
      { interval: 20, message: `The parameters of ${namespace} were not in force` },
    );
    return admitted.spec.containers.slice(0, -1).map(({ image }) => image);
  }

  async #answer(namespace: string, { sources, images, hasPullSecrets }: Question): Promise<Answer> {
    const compiled = compileRuleSet(compileRules(sources), { namespace: 'team', sources: sourceNames });
    if ('unfit' in compiled) return { leftToWebhook: compiled.unfit.message };
    const containers = images.map((image, at) => ({ name: `c${at}`, image }));
    const secrets = hasPullSecrets ? { imagePullSecrets: [{ name: 'mine' }] } : {};
    return this.ask(namespace, compiled.rules, { spec: { containers, ...secrets } });
  }

  async #prepare(names: readonly string[]): Promise<void> {
    const canary = await this.#newCanary();
    for (const name of names) await this.#namespace(name, {});
    await this.#plane.apply(policyObject({ ...defaultSettings, annotate: false }, policyVersion) as Any);
    await this.#parameters(canary.namespace, policyName, marked(noRules, canary.map[0].from));
    await this.#bind([ownBinding([...names, canary.namespace], policyVersion)], canary);
  }

  /** Exactly these, and in force; the canary's namespace is new in one of them. */
  async #bind(wanted: readonly Any[], { namespace, map: [{ from, to }] }: Canary): Promise<void> {
    const names = wanted.map(({ metadata }) => metadata.name);
    const { items } = await this.#plane.adminFetch<Any>(bindings);
    for (const { metadata } of items)
      if (!names.includes(metadata.name))
        await this.#plane.adminFetch(`${bindings}/${metadata.name}`, { method: 'DELETE' });
    // That of the canary last.
    for (const binding of [...wanted].reverse()) await this.#plane.apply(binding);
    await eventually(
      async () => {
        const pod = await this.create(namespace, { spec: { containers: [{ name: 'mark', image: from }] } });
        assert.equal(pod.spec.containers[0]?.image, to);
      },
      { interval: 50, message: 'The bindings were not in force' },
    );
  }

  async #newCanary(): Promise<Canary> {
    const mark = this.#nextMark();
    await this.#namespace(mark, {});
    return { namespace: mark, map: [{ from: mark, to: `${mark}-seen` }] };
  }

  async #parameters(namespace: string, name: string, rules: RuleSet): Promise<void> {
    await this.#plane.apply({
      apiVersion: rewriteRulesApiVersion,
      kind: 'RewriteRules',
      metadata: { namespace, name },
      spec: { engine: 'policy', rules },
    });
  }

  async #namespace(name: string, labels: Readonly<Record<string, string>>): Promise<void> {
    await this.#plane.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } } as Any);
  }

  #nextMark(): string {
    this.#marks += 1;
    return `mark-${this.#marks}`;
  }
}

/** With a rule by which it is known that these are in force. */
function marked(rules: RuleSet, mark: string): RuleSet {
  return { ...rules, images: { ...rules.images, [mark]: `${mark}-seen` } };
}

const none = compileRuleSet(compileRules({}), { sources: [] });
assert.ok('rules' in none);
const noRules = none.rules;
