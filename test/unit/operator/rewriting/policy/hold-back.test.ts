import test from 'ava';
import { compileRules, type RuleSources } from '../../../../../src/image/rules/table.ts';
import type { KubeObject } from '../../../../../src/kube/object.ts';
import { holdBack } from '../../../../../src/operator/rewriting/policy/hold-back.ts';
import { type Plan, planPolicy } from '../../../../../src/operator/rewriting/policy/plan.ts';
import {
  boundNamespaces,
  exceptedNamespaces,
} from '../../../../../src/operator/rewriting/policy/policy-object.ts';
import { defaultSettings } from '../../../../support/rewriting/engine.ts';

const gilly = { registry: 'my.repo', exclude: [], keepSource: false };
const misfit = 'a\u0085b';

/** The plan for namespaces with an ImageMap each, for the image that is said. */
function planFor(images: Readonly<Record<string, string>>, sources: RuleSources = { gilly }): Plan {
  const imageMaps = Object.entries(images).map(([namespace, from]) => ({
    namespace,
    name: 'boot',
    creationTimestamp: '2026-01-01T00:00:00Z',
    map: [{ from, to: 'map.local/nginx' }],
  }));
  return planPolicy({
    table: compileRules({ ...sources, imageMaps }),
    namespaces: Object.keys(images).map((name) => ({ name })),
    settings: defaultSettings,
    served: 'v1',
  });
}

/** What a cluster has when the plan was brought about. */
function cluster({ bindings }: Pick<Plan, 'bindings'>) {
  return (name: string): KubeObject | undefined => bindings.find(({ metadata }) => metadata.name === name);
}

/** Namespaces with parameters of their own, those that the others’ are not for, and those whose parameters are written. */
function view(plan: ReturnType<typeof holdBack>) {
  if (plan === undefined) return undefined;
  const find = cluster(plan);
  const [own, all] = ['namespaces', 'all'].map((name) => find(`registry-mirror-rewrite-${name}`));
  return {
    own: own === undefined ? [] : boundNamespaces(own),
    except: all === undefined ? [] : exceptedNamespaces(all),
    written: plan.parameters.filter((each) => !plan.left.includes(each)).map(({ namespace }) => namespace),
  };
}

test('what the webhook has taken on is given up', (t) => {
  const before = cluster(planFor({ odd: 'nginx', team: 'nginx' }));
  const plan = planFor({ odd: misfit, team: 'nginx' });
  for (const covered of ['all', ['odd']] as const) {
    t.deepEqual(view(holdBack(plan, covered, before)), {
      own: ['team'],
      except: ['kube-system', 'odd', 'team'],
      written: ['default', 'odd', 'team'],
    });
  }
});

test('rules of its own stay a namespace’s, and the policy goes on for all others', (t) => {
  const before = cluster(planFor({ odd: 'nginx' }));
  const held = holdBack(planFor({ odd: misfit, team: 'nginx' }), [], before);
  t.deepEqual(view(held), {
    own: ['odd', 'team'],
    except: ['kube-system', 'odd', 'team'],
    written: ['default', 'team'],
  });
  t.deepEqual(
    held?.parameters.map(({ namespace }) => namespace),
    ['default', 'odd', 'team'],
    'nothing of it is deleted',
  );
});

test('rules of its own stay those of the only namespace that has some', (t) => {
  const plan = planFor({ odd: 'nginx' });
  const held = holdBack(planFor({ odd: misfit }), [], cluster(plan));
  t.deepEqual(held?.bindings, plan.bindings);
});

test('the rules of all other namespaces stay those of one that they were for', (t) => {
  const before = cluster(planFor({}));
  const plan = planFor({ odd: misfit, team: 'nginx' });
  t.deepEqual(view(holdBack(plan, [], before)), {
    own: ['team'],
    except: ['kube-system', 'team'],
    written: ['default', 'team'],
  });
});

test('they stay so whatever its labels are, when those for labelled namespaces become others', (t) => {
  const before = cluster(planFor({}));
  const plan = planFor({ odd: misfit }, { gilly, imageswap: { map: 'default::d.local' } });
  const held = holdBack(plan, [], before);
  t.deepEqual(held?.bindings.map(exceptedNamespaces), [['kube-system'], ['kube-system']]);
});

test('a namespace that the policy never had is not rewritten yet, and its parameters say whose it is', (t) => {
  const expected = {
    own: ['team'],
    except: ['kube-system', 'odd', 'team'],
    written: ['default', 'odd', 'team'],
  };
  const plan = planFor({ odd: misfit, team: 'nginx' });
  t.deepEqual(view(holdBack(plan, [], cluster({ bindings: [] }))), expected);
  t.deepEqual(view(holdBack(plan, [], cluster(plan))), expected);
});

test('where everything is to be the webhook’s, nothing is given up, and where nothing was the policy’s nothing is missed', (t) => {
  const plan = planFor({}, { imageswap: { map: 'default::\na.io::b.io\nb.io::c.io' } });
  t.is(plan.routing.webhook, 'all');
  t.is(holdBack(plan, ['odd'], cluster(planFor({}))), undefined);
  t.deepEqual(holdBack(plan, [], cluster({ bindings: [] }))?.parameters, plan.parameters);
});

test('what is held back stays so from pass to pass', (t) => {
  for (const first of [planFor({ odd: 'nginx' }), planFor({})]) {
    const plan = planFor({ odd: misfit, team: 'nginx' });
    const once = holdBack(plan, [], cluster(first));
    t.deepEqual(once && holdBack(plan, [], cluster(once)), once);
  }
});
