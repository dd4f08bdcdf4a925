/** The pull workflow of the OCI distribution specification, on our mirror and, to prove the suite, on distribution's registry. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { content, pushContent } from '../conformance/content.ts';
import { startReferrersFront } from '../conformance/referrers-front.ts';
import type { Subject } from '../conformance/subject.ts';
import { suite } from '../conformance/suite.ts';
import { distributionProgram } from '../distribution/program.ts';
import { mirrorOf, startCache } from '../support/nginx.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';

const unordered = 'the tags of one folder in the order of its file system, without pages: fixed in version 3';
const noReferrers =
  'distribution has no referrers API: clients fall back to the tag of the referrers’ schema';
const withoutReferrers = {
  referrers: noReferrers,
  'no-referrers': noReferrers,
  'referrers-filter': noReferrers,
  'referrers-invalid': noReferrers,
};

/** What is different about each; `subjects` is filled before the first test runs. */
const deviations: Readonly<Record<string, Subject['deviations']>> = {
  mirror: {},
  'mirror by path': {},
  'distribution 2.8.2': {
    ...withoutReferrers,
    tags: unordered,
    'tags-n': unordered,
    'tags-pages': unordered,
    'tags-last': unordered,
    'tags-n-large': unordered,
    'tags-n-zero': unordered,
    'blob-as-manifest': '500: it parses the blob',
    'no-range': 'its 416 promises the bytes of the whole blob and breaks off',
  },
  'distribution 3.1.2': { ...withoutReferrers },
};
const subjects = new Map<string, Subject>();

test.before(async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'conformance-'));
  const ends: (() => Promise<void>)[] = [];
  // Of `before`, ava has no teardown of its own.
  const scope = { teardown: (end: () => unknown) => void ends.unshift(async () => void (await end())) };
  cleanup = async () => {
    for (const end of ends) await end();
    rmSync(dir, { recursive: true, force: true });
  };
  t.timeout(120_000);
  const [two, three] = await Promise.all([
    startRegistry(join(dir, 'two')),
    startRegistry(join(dir, 'three'), { program: await distributionProgram() }),
  ]);
  for (const registry of [two, three]) {
    scope.teardown(registry.stop);
    await pushContent(registry);
  }
  // The newer one: a mirror lists tags as its upstream does.
  const front = await startReferrersFront(three, content);
  scope.teardown(front.stop);
  const cache = await startCache(scope, [mirrorOf(front, { caFiles: [three.authority.file] })], {});
  const ours = { host: '127.0.0.1', port: cache.port, ca: cache.authority.certificatePem };
  add({ name: 'mirror', ...ours });
  add({ name: 'mirror by path', ...ours, prefix: '/mirror.test' });
  add({ name: 'distribution 2.8.2', ...placeOf(two) });
  add({ name: 'distribution 3.1.2', ...placeOf(three) });
});

let cleanup = async () => {};
test.after.always(() => cleanup());

for (const [name, known] of Object.entries(deviations)) {
  for (const { id, title, section, run } of suite) {
    const reason = known[id];
    test(`${name}: ${title} [${section}]${reason === undefined ? '' : `; not so: ${reason}`}`, async (t) => {
      const subject = subjects.get(name)!;
      if (reason === undefined) await t.notThrowsAsync(run(subject));
      // A deviation that is none any more has to go from the list.
      else await t.throwsAsync(run(subject));
    });
  }
}

test('no list names a check that there is not', (t) => {
  const ids = suite.map(({ id }) => id);
  t.is(new Set(ids).size, ids.length);
  for (const known of Object.values(deviations))
    for (const id of Object.keys(known)) t.true(ids.includes(id), id);
});

function add(subject: Omit<Subject, 'content' | 'deviations'>): void {
  subjects.set(subject.name, { ...subject, content, deviations: deviations[subject.name] ?? {} });
}

function placeOf({ port, authority }: TestRegistry) {
  return { host: '127.0.0.1', port, ca: authority.certificatePem };
}
