/** Listing referrers (end-12a, end-12b). */
import assert from 'node:assert/strict';
import { mediaTypes } from './content.ts';
import { expectErrorForm, expectType } from './expect.ts';
import { type Answer, ask, type Check, type Subject } from './subject.ts';

const listing = 'Listing Referrers (end-12a)';
const filtering = 'Listing Referrers (end-12b)';

interface Index {
  readonly schemaVersion: number;
  readonly mediaType: string;
  readonly manifests: readonly { digest: string; size: number; mediaType: string; artifactType?: string }[];
}

function list(subject: Subject, digest: string, query = ''): Promise<Answer> {
  return ask(subject, subject.content.repository, `referrers/${digest}${query}`);
}

function parse(answer: Answer): Index {
  assert.equal(answer.status, 200);
  expectType(answer, mediaTypes.index);
  const index = JSON.parse(answer.body.toString()) as Index;
  assert.equal(index.schemaVersion, 2);
  assert.equal(index.mediaType, mediaTypes.index);
  return index;
}

export const referrerChecks: readonly Check[] = [
  {
    id: 'referrers',
    section: listing,
    title: 'manifests with a subject are listed in an index, each with digest, size, type and artifact type',
    async run(subject) {
      const { manifest, referrers } = subject.content;
      const { manifests } = parse(await list(subject, manifest.digest));
      const expected = referrers.map(({ artifactType, manifest: { digest, content, mediaType } }) => ({
        digest,
        size: content.length,
        mediaType,
        artifactType,
      }));
      const found = manifests.map(({ digest, size, mediaType, artifactType }) => ({
        digest,
        size,
        mediaType,
        artifactType,
      }));
      const byDigest = (one: { digest: string }, other: { digest: string }) =>
        one.digest < other.digest ? -1 : 1;
      assert.deepEqual(found.toSorted(byDigest), expected.toSorted(byDigest));
    },
  },
  {
    id: 'no-referrers',
    section: listing,
    title: 'what nothing refers to has an empty list, and is not 404',
    async run(subject) {
      assert.deepEqual(parse(await list(subject, `sha256:${'0'.repeat(64)}`)).manifests, []);
    },
  },
  {
    id: 'referrers-filter',
    section: filtering,
    title: 'artifactType leaves only these, and the answer says that it was heeded',
    async run(subject) {
      const { manifest, referrers } = subject.content;
      const { artifactType } = referrers[1]!;
      const query = `?artifactType=${encodeURIComponent(artifactType)}`;
      const answer = await list(subject, manifest.digest, query);
      assert.deepEqual(
        parse(answer).manifests.map(({ digest }) => digest),
        [referrers[1]!.manifest.digest],
      );
      assert.equal(answer.headers['oci-filters-applied'], 'artifactType');
    },
  },
  {
    id: 'referrers-invalid',
    section: listing,
    title: 'a digest that is none is 400',
    async run(subject) {
      const answer = await list(subject, 'sha256:not-a-digest');
      assert.equal(answer.status, 400);
      expectErrorForm(answer);
    },
  },
];
