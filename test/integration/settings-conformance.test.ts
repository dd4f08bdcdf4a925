/** Labels and tolerations of the environment are taken exactly where a real API server takes them in a pod template. */
import test from 'ava';
import fc from 'fast-check';
import { Problems } from '../../src/config/problems.ts';
import { readLabels, readTolerations } from '../../src/config/structured.ts';
import { type ControlPlane, startControlPlane } from '../support/control-plane.ts';

let plane: ControlPlane;

test.before(async () => {
  plane = await startControlPlane();
});

test.after.always(() => plane?.stop());

/** What the API server says of such pods; undefined when it takes them. */
async function refusal(labels: object, tolerations: readonly object[]): Promise<string | undefined> {
  const template = { metadata: { labels }, spec: { tolerations, containers: [{ name: 'c', image: 'i' }] } };
  const body = { apiVersion: 'v1', kind: 'PodTemplate', metadata: { name: 'x' }, template };
  const path = '/api/v1/namespaces/default/podtemplates?dryRun=All&fieldValidation=Strict';
  try {
    await plane.adminFetch(path, { method: 'POST', body });
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

function faults(labels: object, tolerations: readonly object[]): readonly string[] {
  const problems = new Problems();
  const env = { LABELS: JSON.stringify(labels), TOLERATIONS: JSON.stringify(tolerations) };
  readLabels(env, 'LABELS', problems);
  readTolerations(env, 'TOLERATIONS', problems);
  return problems.lines;
}

const long = 'x'.repeat(63);
const key = fc.oneof(
  fc.constantFrom(
    '',
    'a',
    'a.b/c',
    'a..b/c',
    'A/c',
    '/c',
    'a/',
    'a/b/c',
    '-a',
    'a_b',
    'a b',
    long,
    `${long}x`,
  ),
  fc.constantFrom(...[253, 254].map((length) => `${'a'.repeat(length)}/${long}`)),
  fc.stringMatching(/^[-aA1._/]{1,6}$/),
);
const value = fc.oneof(fc.constantFrom('', 'b', 'B_c', 'b c', 'b/c', '.b', long, `${long}x`), fc.integer());
const toleration = fc.record(
  {
    key,
    operator: fc.constantFrom('', 'Exists', 'Equal', 'exists'),
    value,
    effect: fc.constantFrom('', 'NoSchedule', 'PreferNoSchedule', 'NoExecute', 'None'),
    tolerationSeconds: fc.constantFrom<unknown>(0, -1, 60, 1.5, '60', null),
  },
  { requiredKeys: [] },
);

test('tolerations and labels are refused where the API server refuses them, and nowhere else', async (t) => {
  const label = fc.dictionary(key, value, { maxKeys: 1 });
  const sample = fc.oneof(
    fc.tuple(fc.constant({}), fc.array(toleration, { minLength: 1, maxLength: 1 })),
    fc.tuple(label, fc.constant([])),
  );
  const property = fc.asyncProperty(sample, async ([labels, tolerations]) => {
    const said = await refusal(labels, tolerations);
    const ours = faults(labels, tolerations);
    t.is(ours.length === 0, said === undefined, `${JSON.stringify([labels, tolerations])}: ${said}; ${ours}`);
  });
  await fc.assert(property, { numRuns: 600 });
});
