/** What a template uses is exactly what its view holds: no forgotten value, no misspelt one. */
import test from 'ava';
import { templateSource } from '../../../src/cache/render.ts';
import { certificateView } from '../../../src/resources/certificate.ts';
import { daemonSetView } from '../../../src/resources/daemon-set.ts';
import { disruptionBudgetView } from '../../../src/resources/disruption-budget.ts';
import { secretView } from '../../../src/resources/secret.ts';
import { clusterServiceView, headlessServiceView } from '../../../src/resources/service.ts';
import { statefulSetView } from '../../../src/resources/stateful-set.ts';
import { webhookCertificateView, webhookConfigurationView } from '../../../src/resources/webhook.ts';
import { templatePaths } from '../../support/template-paths.ts';
import { everyField, everyVariable, mirrorOf, settingsOf } from './fixtures.ts';

const uid = '11111111-2222-3333-4444-555555555555';
const mirror = mirrorOf(everyField, { uid });
const { affinity: _, ...withoutAffinity } = everyField;
const input = { mirror, settings: settingsOf(everyVariable) };
const foreign = { mirror, settings: settingsOf({ HOSTESS_DOCKER_IMAGE: 'other/hostess' }) };
const clusterIPs = ['10.96.7.1'];

const rewriting = settingsOf({ REWRITE_ENGINE: 'webhook' }).rewriting!;

/** Views that between them have a value for every optional part. */
const views: Record<string, object[]> = {
  'service.yaml': [clusterServiceView(input, clusterIPs), headlessServiceView(input)],
  'disruption-budget.yaml': [disruptionBudgetView(input)],
  'secret.yaml': [secretView(input, 'name', 'Opaque', { file: 'text' })],
  'certificate.yaml': [certificateView(input, clusterIPs)],
  'webhook-certificate.yaml': [webhookCertificateView('default', { kind: 'Issuer', name: 'one' })],
  'mutating-webhook-configuration.yaml': [
    webhookConfigurationView({
      settings: rewriting.webhook,
      rewrite: rewriting.rules,
      authorities: 'PEM',
      namespaces: ['team'],
      owner: [],
    }),
  ],
  'stateful-set.yaml': [
    statefulSetView(input, {}),
    statefulSetView({ ...input, mirror: mirrorOf(withoutAffinity, { uid }) }, {}),
    statefulSetView({ ...input, mirror: mirrorOf({ ...everyField, storage: 'ephemeral' }, { uid }) }, {}),
  ],
  'daemon-set.yaml': [
    daemonSetView(foreign, {
      clusterIPs,
      mode: 'wire',
      ownerReferences: true,
      certificateNames: ['a'],
      authority: 'mark',
    }),
  ],
};

for (const [name, examples] of Object.entries(views)) {
  test(`${name}.hbs uses every value of its view and no other`, (t) => {
    const used = templatePaths(name).map((path) => path.replace(/\.0$/, '[]'));
    const known = new Set(examples.flatMap((view) => [...pathsIn(view)]));
    t.deepEqual(
      used.filter((path) => !known.has(path)),
      [],
      'the view has no such value',
    );
    t.deepEqual(
      examples.flatMap((view) => unused(view, used)),
      [],
      'the template does not use it',
    );
  });

  test(`${name}.hbs prints through helpers only`, (t) => {
    t.notRegex(templateSource(name), /\{\{(?!json |#if |\/if\}\}|#each |\/each\}\})/);
  });
}

/** Every path there is in a view. */
function* pathsIn(value: unknown, path = ''): Generator<string> {
  if (path !== '') yield path;
  if (value === null || typeof value !== 'object') return;
  const entries: [string, unknown][] = Array.isArray(value)
    ? value.map((item) => [`${path}[]`, item])
    : Object.entries(value).map(([key, item]) => [path === '' ? key : `${path}.${key}`, item]);
  for (const [below, item] of entries) yield* pathsIn(item, below);
}

/** The paths of a view that a template does not use. A value is used as a whole where nothing in it is used by itself. */
function unused(value: unknown, used: readonly string[], path = ''): string[] {
  const isWhole = !used.some((other) => other.startsWith(`${path}.`) || other.startsWith(`${path}[`));
  if (value === null || (used.includes(path) && isWhole)) return [];
  if (typeof value !== 'object') return [path];
  if (Array.isArray(value)) return value.flatMap((item) => unused(item, used, `${path}[]`));
  return Object.entries(value).flatMap(([key, item]) =>
    unused(item, used, path === '' ? key : `${path}.${key}`),
  );
}
