import test from 'ava';
import type { KubeObject } from '../../../../src/kube/object.ts';
import { forgetAt, rememberedMs, versioned } from '../../../../src/operator/shared-nodes/list-version.ts';
import { toldList } from '../../../../src/operator/shared-nodes/told-list.ts';
import { nodeMirror } from '../../../../src/resources/node-mirror.ts';
import { type SharedList, sharedNodesSecret } from '../../../../src/resources/shared-nodes.ts';
import { mirrorOf, settingsOf } from '../../resources/fixtures.ts';

const now = Date.parse('2026-01-01T00:00:00Z');
const identity = { leaf: { certificate: 'LEAF', key: 'KEY', ca: 'CA' }, authorities: 'PEERS' };

function listOf(names: readonly string[], more: Partial<SharedList> = {}): SharedList {
  const listed = names.map((name) => {
    const input = { mirror: mirrorOf({ upstreamUrl: `${name}.example` }, { name }), settings: settingsOf() };
    const given = { clusterIPs: ['10.96.0.10'], nodePort: 29_001, certificateNames: [] };
    return { mirror: nodeMirror(input, given), authorities: 'AUTHORITIES' };
  });
  return { listed, others: [], gone: [], ...more };
}

function secretOf(list: SharedList): KubeObject {
  return sharedNodesSecret(settingsOf(), list, identity) as KubeObject;
}

test('A list that says the same keeps its version; any other has a greater one, whatever the clock says', (t) => {
  const first = versioned(listOf(['a']), undefined, now);
  t.is(first.version, now);
  t.deepEqual(versioned(listOf(['a']), secretOf(first), now + 1), first);
  t.is(versioned(listOf(['a', 'b']), secretOf(first), now - 3_600_000).version, now + 1);
  t.is(versioned(listOf(['a', 'b']), secretOf(first), now + 5_000).version, now + 5_000);
});

test('A list without a version gets one, and its mirrors are not forgotten', (t) => {
  const list = versioned(listOf(['a']), secretOf(listOf(['a', 'b'])), now);
  t.is(list.version, now);
  t.deepEqual([list.gone, list.left], [['b'], { b: now }]);
});

test('What left the list is said to be gone since then, for ten minutes, also when it does not exist any more', (t) => {
  const wired = versioned(listOf(['a', 'b']), undefined, now);
  const leaving = versioned(listOf(['a'], { gone: ['b'] }), secretOf(wired), now + 1_000);
  t.deepEqual([leaving.gone, leaving.left], [['b'], { b: now + 1_000 }]);
  const gone = versioned(listOf(['a']), secretOf(leaving), now + 9_000);
  t.deepEqual(gone, leaving, 'for that there is no new list');
  const end = forgetAt(gone, ['a']);
  t.is(end, now + 1_000 + rememberedMs);
  t.deepEqual(versioned(listOf(['a']), secretOf(gone), end - 1).gone, ['b']);
  const forgotten = versioned(listOf(['a']), secretOf(gone), end);
  t.deepEqual([forgotten.gone, forgotten.left, forgotten.version], [[], {}, end]);
  t.is(forgetAt(forgotten, ['a']), Number.POSITIVE_INFINITY);
});

test('Each mirror has the version since which it stands in the list as it does', (t) => {
  const first = versioned(listOf(['a', 'b']), undefined, now);
  t.deepEqual(first.since, { a: now, b: now });
  const more = versioned(listOf(['a', 'b', 'c']), secretOf(first), now + 1);
  t.deepEqual(more.since, { a: now, b: now, c: now + 1 });
  const { listed } = listOf(['a', 'b', 'c']);
  const [a, ...others] = listed;
  const trusting = { ...listOf([]), listed: [{ ...a!, authorities: 'OTHERS' }, ...others] };
  const edited = versioned(trusting, secretOf(more), now + 2);
  t.deepEqual(edited.since, { a: now + 2, b: now, c: now + 1 });
  const back = versioned(listOf(['b', 'c']), secretOf(edited), now + 3);
  t.deepEqual(back.since, { b: now, c: now + 1 });
  const again = versioned(listOf(['a', 'b', 'c']), secretOf(back), now + 4);
  t.is(again.since?.['a'], now + 4);
});

test('What is still being deleted is awaited, however long it takes', (t) => {
  const leaving = versioned(listOf([], { gone: ['b'] }), secretOf(listOf(['b'])), now);
  const later = versioned(listOf([], { gone: ['b'] }), secretOf(leaving), now + 10 * rememberedMs);
  t.deepEqual(later, leaving);
  t.is(forgetAt(later, ['b']), Number.POSITIVE_INFINITY);
});

test('What was never in the list is not said to have left it', (t) => {
  const list = versioned(listOf(['a'], { gone: ['new'] }), secretOf(listOf(['a'])), now);
  t.deepEqual([list.gone, list.left], [['new'], {}]);
});

test('A mirror that comes back is not gone; one that other agents wire now is not taken from them', (t) => {
  const leaving = versioned(listOf([], { gone: ['a', 'b'] }), secretOf(listOf(['a', 'b'])), now);
  const back = versioned(listOf(['a'], { others: ['b'] }), secretOf(leaving), now + 1_000);
  t.deepEqual([back.gone, back.others, back.left], [[], ['b'], { b: now }]);
});

test('However many mirrors come and go, those that left last are remembered', (t) => {
  let list = versioned(listOf([]), undefined, now);
  for (let at = 1; at <= 60; at += 1) {
    const names = Array.from({ length: 10 }, (_, index) => `m${at}-${index}`);
    list = versioned(listOf(names), secretOf(list), now + at);
  }
  list = versioned(listOf([]), secretOf(list), now + 61);
  t.is(list.gone.length, 500);
  t.true(list.gone.includes('m60-0'));
  t.false(list.gone.includes('m1-0'));
});

test('A Secret that somebody has changed is read as far as it can be', (t) => {
  const told = (list: unknown) => {
    const data = { 'mirrors.json': Buffer.from(JSON.stringify(list)).toString('base64') };
    return toldList({ ...secretOf(listOf([])), data } as KubeObject);
  };
  const nothing = { version: 0, listed: new Map(), gone: [], left: new Map(), since: new Map() };
  for (const list of [null, 7, {}, { mirrors: 'x' }]) t.deepEqual(told(list), nothing);
  const odd = { version: 'x', mirrors: [{ name: 'a' }], left: { b: 'x', constructor: 5 } };
  const listed = new Map([['a', '{"name":"a"}']]);
  t.deepEqual(told(odd), { ...nothing, listed, left: new Map([['constructor', 5]]) });
  t.deepEqual(toldList(undefined), nothing);
});
