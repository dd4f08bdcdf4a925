/** Pulling blobs, and whether they exist (end-2). */
import assert from 'node:assert/strict';
import { expectContent, expectDigest, expectErrorForm, expectNotFound } from './expect.ts';
import { type Answer, ask, type Check, type Question, type Subject } from './subject.ts';

const pulling = 'Pulling blobs (end-2)';
const checking = 'Checking if content exists in the registry (end-2)';
const ranges = 'Pulling blobs (end-2), RFC 9110 section 14';
const unknown = `sha256:${'0'.repeat(64)}`;

function blob(
  subject: Subject,
  digest: string,
  question?: Question,
  repository = subject.content.repository,
) {
  return ask(subject, repository, `blobs/${digest}`, question);
}

async function part(subject: Subject, range: string): Promise<Answer> {
  return blob(subject, subject.content.layer.digest, { headers: { range } });
}

/** 206 with the bytes from `start` up to `end`, included. */
function expectPart(answer: Answer, content: Buffer, start: number, end: number): void {
  assert.equal(answer.status, 206);
  assert.equal(answer.headers['content-range'], `bytes ${start}-${end}/${content.length}`);
  assert.equal(answer.headers['content-length'], String(end - start + 1));
  assert.deepEqual(answer.body, content.subarray(start, end + 1));
}

export const blobChecks: readonly Check[] = [
  {
    id: 'blob',
    section: pulling,
    title: 'a blob is given byte for byte, with its digest',
    async run(subject) {
      for (const wanted of [subject.content.layer, subject.content.config])
        expectContent(await blob(subject, wanted.digest), wanted);
    },
  },
  {
    id: 'blob-twice',
    section: pulling,
    title: 'a blob that was asked for a second time is answered as the first time',
    async run(subject) {
      const { layer } = subject.content;
      const [first, second] = [await blob(subject, layer.digest), await blob(subject, layer.digest)];
      expectContent(second, layer);
      assert.equal(second.headers['content-length'], first.headers['content-length']);
    },
  },
  {
    id: 'blob-head',
    section: checking,
    title: 'HEAD of a blob has its digest and its length, and no body',
    async run(subject) {
      for (const { digest, content } of [subject.content.config, subject.content.layer]) {
        const answer = await blob(subject, digest, { method: 'HEAD' });
        assert.equal(answer.status, 200);
        assert.equal(answer.body.length, 0);
        expectDigest(answer, digest);
        assert.equal(answer.headers['content-length'], String(content.length));
      }
    },
  },
  {
    id: 'blob-cold-head',
    section: checking,
    title: 'HEAD of a blob that nobody has asked for before is 200 as well',
    async run(subject) {
      const repository = subject.content.oddRepositories[1];
      const answer = await blob(subject, subject.content.config.digest, { method: 'HEAD' }, repository);
      assert.equal(answer.status, 200);
    },
  },
  {
    id: 'unknown-blob',
    section: pulling,
    title: 'a blob that is not there is 404, for GET and for HEAD',
    async run(subject) {
      expectNotFound(await blob(subject, unknown));
      expectNotFound(await blob(subject, unknown, { method: 'HEAD' }));
    },
  },
  {
    id: 'blob-of-nobody',
    section: pulling,
    title: 'a blob that is not there of a repository that is not there is 404',
    async run(subject) {
      expectNotFound(await blob(subject, unknown, {}, 'conformance/nobody'));
    },
  },
  {
    id: 'range',
    section: ranges,
    title: 'a range of a blob is 206 with exactly these bytes',
    async run(subject) {
      const { content } = subject.content.layer;
      const last = content.length - 1;
      expectPart(await part(subject, 'bytes=0-0'), content, 0, 0);
      expectPart(await part(subject, 'bytes=1048570-2097160'), content, 1048570, 2097160);
      expectPart(await part(subject, `bytes=${last - 9}-${last}`), content, last - 9, last);
    },
  },
  {
    id: 'open-range',
    section: ranges,
    title: 'a range without an end goes to the end, as a client asks that goes on with a download',
    async run(subject) {
      const { content } = subject.content.layer;
      expectPart(await part(subject, 'bytes=2500000-'), content, 2_500_000, content.length - 1);
    },
  },
  {
    id: 'suffix-range',
    section: ranges,
    title: 'a range without a start is the last bytes',
    async run(subject) {
      const { content } = subject.content.layer;
      expectPart(await part(subject, 'bytes=-100'), content, content.length - 100, content.length - 1);
    },
  },
  {
    id: 'long-range',
    section: ranges,
    title: 'a range that ends behind the blob ends with it',
    async run(subject) {
      const { content } = subject.content.layer;
      expectPart(await part(subject, 'bytes=2999000-99999999'), content, 2_999_000, content.length - 1);
    },
  },
  {
    id: 'no-range',
    section: ranges,
    title: 'a range that begins behind the blob is 416 and says how long the blob is',
    async run(subject) {
      const { content } = subject.content.layer;
      const answer = await part(subject, `bytes=${content.length}-`);
      assert.equal(answer.status, 416);
      assert.equal(answer.headers['content-range'], `bytes */${content.length}`);
      expectErrorForm(answer);
    },
  },
  {
    id: 'accept-ranges',
    section: ranges,
    title: 'a blob says that ranges of it can be had',
    async run(subject) {
      const answer = await blob(subject, subject.content.layer.digest, { method: 'HEAD' });
      assert.equal(answer.headers['accept-ranges'], 'bytes');
    },
  },
];
