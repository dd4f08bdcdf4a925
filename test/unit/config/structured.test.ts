import test from 'ava';
import { Problems } from '../../../src/config/problems.ts';
import { readLabels, readTolerations } from '../../../src/config/structured.ts';

function tolerations(value: string) {
  const problems = new Problems();
  const read = readTolerations({ SS_DS_TOLERATIONS: value }, 'SS_DS_TOLERATIONS', problems);
  return { read, faults: problems.lines };
}

function labelFaults(labels: object): readonly string[] {
  const problems = new Problems();
  readLabels({ SS_DS_LABELS: JSON.stringify(labels) }, 'SS_DS_LABELS', problems);
  return problems.lines;
}

const accepted: Record<string, object[]> = {
  "[{'operator': 'Exists'}]": [{ operator: 'Exists' }],
  "[{'key': '', 'operator': 'Exists', 'effect': ''}]": [{ operator: 'Exists' }],
  "[{'key': 'a', 'operator': '', 'value': '', 'effect': 'NoSchedule'}]": [{ key: 'a', effect: 'NoSchedule' }],
  "[{'key': 'a.b/C_d', 'value': 'x'}]": [{ key: 'a.b/C_d', value: 'x' }],
  "[{'key': 'a', 'operator': 'Exists', 'effect': 'NoExecute', 'toleration_seconds': -1}]": [
    { key: 'a', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: -1 },
  ],
};

for (const [value, expected] of Object.entries(accepted)) {
  test(`${value} are tolerations`, (t) => {
    t.deepEqual(tolerations(value), { read: expected, faults: [] } as never);
  });
}

const refused: Record<string, RegExp> = {
  "[{'effect': 'NoSchedule'}]":
    /operator Exists in a toleration without a key, got \{"effect":"NoSchedule"\}$/,
  '[{}]': /operator Exists in a toleration without a key/,
  "[{'key': '', 'operator': 'Equal'}]": /operator Exists in a toleration without a key/,
  "[{'key': 'a', 'operator': 'Exists', 'value': 'b'}]": /no value in a toleration with operator Exists/,
  "[{'key': 'a', 'operator': 'Exists', 'toleration_seconds': 5}]": /effect NoExecute in a toleration with/,
  "[{'key': 'a', 'effect': 'NoSchedule', 'tolerationSeconds': 5}]": /effect NoExecute in a toleration with/,
  "[{'key': 'a..b/c', 'operator': 'Exists'}]": /a key of a taint/,
  "[{'key': 'a b', 'operator': 'Exists'}]": /a key of a taint/,
  "[{'key': 'a', 'value': 'b c'}]": /the value of a taint/,
  "[{'constructor': 'a', 'operator': 'Exists'}]": /a list of tolerations/,
  "['a']": /a list of tolerations/,
  "{'key': 'a'}": /a list of tolerations/,
};

for (const [value, expected] of Object.entries(refused)) {
  test(`${value} is told, as what Kubernetes refuses`, (t) => {
    const { faults } = tolerations(value);
    t.is(faults.length, 1);
    t.regex(faults[0] ?? '', /^SS_DS_TOLERATIONS: expected /);
    t.regex(faults[0] ?? '', expected);
  });
}

test('labels are those that Kubernetes takes', (t) => {
  const prefix = (length: number) => `${'a.'.repeat(Math.floor(length / 2))}${length % 2 ? 'a' : ''}`;
  t.deepEqual(labelFaults({ a: '', 'a.b-c/D_e.f': 'V.a_l-9', [`${prefix(253)}/x`]: 'x'.repeat(63) }), []);
  for (const wrong of [
    { 'a..b/c': 'x' },
    { [`${prefix(255)}/c`]: 'x' },
    { [`${'a'.repeat(300)}/c`]: 'x' },
    { '/c': 'x' },
    { 'A/c': 'x' },
    { 'a/': 'x' },
    { 'a/b/c': 'x' },
    { a: 'x'.repeat(64) },
    { a: '-x' },
    { a: 1 },
  ]) {
    t.deepEqual(labelFaults({ good: 'one', ...wrong }).length, 1, JSON.stringify(wrong));
  }
  t.is(
    labelFaults({ good: 'one', 'a..b/c': 'x' })[0],
    `SS_DS_LABELS: expected labels as {'key': 'value'} that Kubernetes takes, got {"a..b/c":"x"}`,
  );
});
