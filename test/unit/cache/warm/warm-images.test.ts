import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import test, { type ExecutionContext } from 'ava';
import { openLocalCache } from '../../../../src/cache/warm/local-cache.ts';
import { ownPlatform } from '../../../../src/cache/warm/platform.ts';
import type { WarmEvent } from '../../../../src/cache/warm/warm-event.ts';
import { type WarmOptions, warmImages } from '../../../../src/cache/warm/warm-images.ts';
import { type Image, makeImage } from '../../../support/images.ts';
import { startScriptedCache } from '../../../support/scripted-cache.ts';

const image = makeImage({ tag: 'v1', seed: 'warm', layerSizes: [400_000, 300_000, 200_000, 1_000] });
const manifest = image.manifests[0]!;
const total = image.blobs.reduce((sum, { content }) => sum + content.length, 0);
const largest = image.blobs.toSorted((a, b) => b.content.length - a.content.length)[0]!;

async function world(t: ExecutionContext, changes: Partial<WarmOptions> = {}, served: Image = image) {
  const cache = await startScriptedCache(t, served);
  const local = openLocalCache(cache.socketPath, 'mirror.test');
  t.teardown(() => local.close());
  const events: WarmEvent[] = [];
  const purged: string[] = [];
  const warm = (...references: string[]) =>
    warmImages(
      references.map((reference) => ({ text: `app:${reference}`, repository: 'team/app', reference })),
      {
        cache: local,
        choice: [ownPlatform(process.arch)],
        parallel: 3,
        purge: async (repository, digest) => void purged.push(`${repository}@${digest}`),
        isKept: async () => true,
        emit: (event) => void events.push(event),
        signal: new AbortController().signal,
        retryLimits: { attempts: 3, baseMs: 1, maxMs: 5 },
        ...changes,
      },
    );
  return { cache, events, purged, warm };
}

/** The failure that was told, without the rest. */
function failure(events: readonly WarmEvent[]) {
  const [failed] = events.filter(({ event }) => event === 'failed');
  return failed?.event === 'failed' ? failed : undefined;
}

/** Breaks a body off after `size` bytes. */
function breakAfter(response: ServerResponse, content: Buffer, size: number, head: object = {}): true {
  response.writeHead(200, { 'content-length': content.length, ...head });
  response.write(content.subarray(0, size), () => response.destroy());
  return true;
}

function isLargest({ url = '' }: { url?: string | undefined }): boolean {
  return url.endsWith(`/blobs/${largest.digest}`);
}

test('a tag is asked for in every way clients ask: GET, HEAD and by digest; each blob once, three at a time', async (t) => {
  const { cache, events, warm } = await world(t);
  t.true(await warm('v1'));
  t.deepEqual(cache.requests.slice(0, 3), [
    'GET team/app/manifests/v1',
    'HEAD team/app/manifests/v1',
    `GET team/app/manifests/${manifest.digest}`,
  ]);
  t.deepEqual(
    cache.requests.slice(3).toSorted(),
    image.blobs.map(({ digest }) => `GET team/app/blobs/${digest}`).toSorted(),
  );
  t.is(cache.peak(), 3);
  const counts = { image: 'app:v1', digest: manifest.digest, blobs: 5, bytes: total };
  t.like(events[0], { event: 'resolved', ...counts });
  t.like(events.at(-2), { event: 'progress', bytes: total, total });
  t.like(events.at(-1), { event: 'done', ...counts });
});

test('a digest is asked for as such alone, and blobs that several images share are read once', async (t) => {
  const { cache, warm } = await world(t);
  t.true(await warm(manifest.digest, 'v1'));
  t.is(cache.requests[0], `GET team/app/manifests/${manifest.digest}`);
  t.is(cache.requests.filter((line) => line.includes('/blobs/')).length, image.blobs.length);
});

test('a blob whose connection breaks goes on from the byte it had, and its digest is still that of the whole', async (t) => {
  const { cache, events, warm } = await world(t);
  let broken = 0;
  cache.fault = (request, response) =>
    isLargest(request) && broken++ === 0 && breakAfter(response, largest.content, 150_000);
  t.true(await warm('v1'));
  const asked = cache.requests.filter((line) => line.includes(largest.digest));
  t.is(asked.length, 2);
  t.regex(asked[1] ?? '', /bytes=\d+-$/);
  t.is(events.filter(({ event }) => event === 'retried').length, 1);
  t.like(events.at(-1), { event: 'done', bytes: total });
});

test('a rest that comes as the whole is taken from where it was', async (t) => {
  const { cache, events, warm } = await world(t);
  let asked = 0;
  cache.fault = (request, response) => {
    if (!isLargest(request)) return false;
    if (asked++ === 0) return breakAfter(response, largest.content, 150_000);
    response.end(largest.content);
    return true;
  };
  t.true(await warm('v1'));
  t.like(events.at(-1), { event: 'done', bytes: total });
});

test('wrong bytes are told by the digest they should have, and removed', async (t) => {
  const { cache, events, purged, warm } = await world(t);
  cache.fault = (request, response) => {
    if (!isLargest(request)) return false;
    const wrong = Buffer.from(largest.content);
    wrong[1000] = wrong[1000]! ^ 1;
    response.end(wrong);
    return true;
  };
  t.false(await warm('v1'));
  t.is(failure(events)?.code, 'digest');
  t.regex(failure(events)?.message ?? '', new RegExp(`expected ${largest.digest}`));
  t.deepEqual(purged, [`team/app@${largest.digest}`]);
});

test('a manifest of other bytes than its digest says is removed, too', async (t) => {
  const { cache, events, purged, warm } = await world(t);
  cache.fault = (request, response) => {
    if (!request.url?.endsWith(`/manifests/${manifest.digest}`)) return false;
    response.setHeader('content-type', manifest.mediaType);
    response.end(`${manifest.content}\n`);
    return true;
  };
  t.false(await warm(manifest.digest));
  t.is(failure(events)?.code, 'digest');
  t.deepEqual(purged, [`team/app@${manifest.digest}`]);
});

test('an upstream that is away for a moment is waited for, one that stays away is given up', async (t) => {
  const { cache, events, warm } = await world(t);
  let refusals = 2;
  cache.fault = (request, response) => {
    if (!isLargest(request) || refusals-- <= 0) return false;
    response.writeHead(503, { 'retry-after': '1' }).end();
    return true;
  };
  t.true(await warm('v1'));
  refusals = Number.POSITIVE_INFINITY;
  t.false(await warm('v1'));
  t.is(failure(events)?.code, 'status');
  t.regex(failure(events)?.message ?? '', /answered 503/);
});

test('what does not exist is not asked for again, and the next image is warmed all the same', async (t) => {
  const { cache, events, warm } = await world(t);
  t.false(await warm('none', 'v1'));
  t.is(cache.requests.filter((line) => line.endsWith('/none')).length, 1);
  t.like(failure(events), { image: 'app:none', code: 'status' });
  t.like(events.at(-1), { event: 'done', image: 'app:v1' });
});

test('without a cache that answers that is said', async (t) => {
  const local = openLocalCache('/nonexistent/local.sock', 'mirror.test');
  const { events, warm } = await world(t, { cache: local });
  t.false(await warm('v1'));
  t.regex(failure(events)?.message ?? '', /no cache answers on \/nonexistent\/local.sock/);
});

test('an abort ends everything at once', async (t) => {
  const stop = new AbortController();
  const { cache, warm } = await world(t, { signal: stop.signal });
  cache.fault = (request) => {
    if (!isLargest(request)) return false;
    stop.abort(new Error('enough'));
    return true;
  };
  await t.throwsAsync(warm('v1'), { message: 'enough' });
});

test('one blob that cannot be had ends the image’s others', async (t) => {
  const { cache, events, warm } = await world(t, { parallel: 5 });
  const stuck: Promise<unknown>[] = [];
  cache.fault = (request, response) => {
    if (isLargest(request)) response.writeHead(404).end();
    else if (request.url?.includes('/blobs/')) stuck.push(once(response, 'close'));
    else return false;
    return true;
  };
  t.false(await warm('v1'));
  t.is(failure(events)?.code, 'status');
  await Promise.all(stuck);
});

test('what was read and is not kept is a failure that says how much, and the next image reads it again', async (t) => {
  const { cache, events, warm } = await world(t, {
    isKept: async ({ digest }) => digest.text !== largest.digest,
  });
  t.false(await warm('v1', 'v1'));
  t.like(failure(events), { code: 'notKept' });
  t.regex(failure(events)?.message ?? '', /^1 of 5 blobs were read and are not kept/);
  t.deepEqual(
    events.filter(({ event }) => event === 'done'),
    [],
  );
  t.is(cache.requests.filter((request) => request.endsWith(largest.digest)).length, 2);
});
