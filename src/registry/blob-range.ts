/** What part of a blob an answer holds, and whether that is what was asked for. Pure. */
import { bareType } from './media-types.ts';
import { UpstreamError, UpstreamStatusError } from './upstream-error.ts';

/** Bytes `start` to `end`, both included, as in a Range header. */
export interface BlobRange {
  readonly start: number;
  readonly end: number;
}

/** The bytes that will be given on. Without a known size `end` and `total` are undefined and `start` is 0. */
export interface BlobWindow {
  readonly start: number;
  readonly end: number | undefined;
  readonly total: number | undefined;
}

/** What is larger is a fault of who states it: 4 TiB. */
const largestBlob = 2 ** 42;

/** The parts of an answer that are looked at here. */
export interface RangedAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly url: URL;
}

/**
 * Takes an answer of 200 or 206 to a request for `range` and returns what is to be given on: the range, cut at the
 * end of the blob, or from byte 0 of an upstream that ignores ranges all of it. Throws `UpstreamError` for another
 * range, an encoding or a web page, `UpstreamStatusError` 416 for a range behind the end.
 */
export function checkWindow(answer: RangedAnswer, range: BlobRange | undefined): BlobWindow {
  checkKind(answer);
  const length = contentLength(answer);
  if (answer.status === 206) return partWindow(answer, range, length);
  if (range === undefined || range.start === 0) {
    return { start: 0, end: length === undefined ? undefined : length - 1, total: length };
  }
  if (length === undefined) throw bad(answer, 'a length, or an answer to Range', 'neither');
  if (range.start >= length) throw new UpstreamStatusError(416, `${answer.url.host}: range behind the end`);
  return { start: range.start, end: Math.min(range.end, length - 1), total: length };
}

/** Refuses what is no blob, whatever its status says: packed bytes and the pages of captive portals. */
function checkKind(answer: RangedAnswer): void {
  const encoding = answer.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') throw bad(answer, 'no Content-Encoding', 'one');
  const type = answer.headers['content-type'];
  if (bareType(typeof type === 'string' ? type : undefined) === 'text/html') {
    throw bad(answer, 'a blob', 'a web page');
  }
}

function partWindow(
  answer: RangedAnswer,
  range: BlobRange | undefined,
  length: number | undefined,
): BlobWindow {
  const header = answer.headers['content-range'];
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/i.exec(
    typeof header === 'string' ? header.trim() : '',
  );
  if (range === undefined || match === null) throw bad(answer, 'a Content-Range we asked for', 'none');
  const [start, end, total] = match.slice(1).map(Number) as [number, number, number];
  if (total > largestBlob) throw bad(answer, `a blob of at most ${largestBlob} bytes`, `one of ${total}`);
  if (start !== range.start || end !== Math.min(range.end, total - 1) || start > end) {
    throw bad(answer, `bytes ${range.start}-${range.end}`, `bytes ${start}-${end}/${total}`);
  }
  if (length !== undefined && length !== end - start + 1) {
    throw bad(answer, `${end - start + 1} bytes`, `Content-Length ${length}`);
  }
  return { start, end, total };
}

function contentLength(answer: RangedAnswer): number | undefined {
  const header = answer.headers['content-length'];
  if (header === undefined) return undefined;
  if (typeof header !== 'string' || !/^\d{1,15}$/.test(header))
    throw bad(answer, 'one Content-Length', 'another');
  if (Number(header) > largestBlob)
    throw bad(answer, `a blob of at most ${largestBlob} bytes`, `one of ${header}`);
  return Number(header);
}

function bad(answer: RangedAnswer, expected: string, got: string): UpstreamError {
  return new UpstreamError('answer', `${answer.url.host}: expected ${expected}, got ${got}`);
}
