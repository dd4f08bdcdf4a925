/** Answers that are a manifest, or say that the one that nginx has still is. Pure. */
import type { ManifestHead } from '../../registry/manifest.ts';
import type { Answer } from './answer.ts';

/** `keep`: the headers that say how long; no `bytes`: the answer to a HEAD. */
export function manifestAnswer(
  { digest, mediaType, length }: ManifestHead,
  keep: Readonly<Record<string, string>>,
  bytes: Buffer | '' = '',
): Answer {
  const headers = {
    'Content-Type': mediaType,
    'Content-Length': String(length),
    'Docker-Content-Digest': digest,
    ETag: `"${digest}"`,
    ...keep,
  };
  return { status: 200, headers, body: bytes };
}

/** The copy that nginx has of `digest` stands. */
export function notModified(digest: string, keep: Readonly<Record<string, string>>): Answer {
  return {
    status: 304,
    headers: { 'Docker-Content-Digest': digest, ETag: `"${digest}"`, ...keep },
    body: '',
  };
}
