/** Pulling manifests, and whether they exist (end-3). */
import assert from 'node:assert/strict';
import { longestTag, mediaTypes } from './content.ts';
import { expectContent, expectDigest, expectNotFound, expectType } from './expect.ts';
import { ask, type Check, type Subject } from './subject.ts';

const pulling = 'Pulling manifests (end-3)';
const checking = 'Checking if content exists in the registry (end-3)';
const accept = Object.values(mediaTypes).join(', ');
const unknown = `sha256:${'0'.repeat(64)}`;

function get(subject: Subject, reference: string, repository = subject.content.repository) {
  return ask(subject, repository, `manifests/${reference}`, { headers: { accept } });
}

function head(subject: Subject, reference: string) {
  return ask(subject, subject.content.repository, `manifests/${reference}`, {
    method: 'HEAD',
    headers: { accept },
  });
}

export const manifestChecks: readonly Check[] = [
  {
    id: 'manifest-by-tag',
    section: pulling,
    title: 'a tag gives the manifest, byte for byte, with its type and its digest',
    async run(subject) {
      const { manifest } = subject.content;
      const answer = await get(subject, 'v1.2');
      expectContent(answer, manifest);
      // SHOULD NOT have parameters.
      expectType(answer, manifest.mediaType);
    },
  },
  {
    id: 'manifest-by-digest',
    section: pulling,
    title: 'a digest gives the manifest, byte for byte, with its type and its digest',
    async run(subject) {
      const { manifest } = subject.content;
      const answer = await get(subject, manifest.digest);
      expectContent(answer, manifest);
      expectType(answer, manifest.mediaType);
    },
  },
  {
    id: 'index',
    section: pulling,
    title: 'an index is given by tag and by digest with the type of an index',
    async run(subject) {
      const { index } = subject.content;
      for (const reference of ['multi', index.digest]) {
        const answer = await get(subject, reference);
        expectContent(answer, index);
        expectType(answer, index.mediaType);
      }
    },
  },
  {
    id: 'tag-shapes',
    section: pulling,
    title: 'a tag may begin with an underscore or a capital and be 128 characters long',
    async run(subject) {
      for (const tag of ['_under', 'B1', longestTag])
        expectContent(await get(subject, tag), subject.content.manifest);
    },
  },
  {
    id: 'repository-shapes',
    section: pulling,
    title: 'a name may have every separator of the specification and many components',
    async run(subject) {
      for (const repository of subject.content.oddRepositories)
        expectContent(await get(subject, 'v1.2', repository), subject.content.manifest);
    },
  },
  {
    id: 'manifest-head',
    section: checking,
    title:
      'HEAD of a manifest by tag and by digest has the digest, the type and the length of what GET gives, and no body',
    async run(subject) {
      const { manifest } = subject.content;
      for (const reference of ['v1.2', manifest.digest]) {
        const answer = await head(subject, reference);
        assert.equal(answer.status, 200);
        assert.equal(answer.body.length, 0);
        expectDigest(answer, manifest.digest);
        expectType(answer, manifest.mediaType);
        assert.equal(answer.headers['content-length'], String(manifest.content.length));
      }
    },
  },
  {
    id: 'manifest-twice',
    section: pulling,
    title: 'what was asked for a second time is answered as the first time',
    async run(subject) {
      const [first, second] = [await get(subject, 'multi'), await get(subject, 'multi')];
      assert.deepEqual(second.body, first.body);
      for (const name of ['content-type', 'docker-content-digest', 'content-length'])
        assert.equal(second.headers[name], first.headers[name]);
    },
  },
  {
    id: 'unknown-tag',
    section: pulling,
    title: 'a tag that is not there is 404, for GET and for HEAD',
    async run(subject) {
      expectNotFound(await get(subject, 'nothing-here'));
      expectNotFound(await head(subject, 'nothing-here'));
    },
  },
  {
    id: 'unknown-manifest',
    section: pulling,
    title: 'a digest that is not there is 404, for GET and for HEAD',
    async run(subject) {
      expectNotFound(await get(subject, unknown));
      expectNotFound(await head(subject, unknown));
    },
  },
  {
    id: 'manifest-of-another',
    section: pulling,
    title: 'a manifest of another repository is 404',
    async run(subject) {
      expectNotFound(await get(subject, subject.content.index.digest, subject.content.oddRepositories[0]));
    },
  },
  {
    id: 'unknown-repository',
    section: pulling,
    title: 'a repository that is not there is 404',
    async run(subject) {
      expectNotFound(await get(subject, 'v1.2', 'conformance/nobody'));
    },
  },
  {
    id: 'blob-as-manifest',
    section: pulling,
    title: 'the digest of a blob is no manifest',
    async run(subject) {
      expectNotFound(await get(subject, subject.content.layer.digest));
    },
  },
];
