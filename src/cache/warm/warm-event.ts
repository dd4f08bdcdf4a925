/** What happens while images are warmed; as JSON lines the language between a cache pod and the command outside. */
import * as z from 'zod';

const image = z.string();
const count = z.number().min(0);

const schema = z.discriminatedUnion('event', [
  /** The manifests are cached; so many blobs are to come. `platforms` is empty for an image without an index. */
  z.object({
    event: z.literal('resolved'),
    image,
    digest: z.string(),
    platforms: z.array(z.string()),
    blobs: count,
    bytes: count,
  }),
  /** A layer that lies elsewhere. */
  z.object({ event: z.literal('skipped'), image, digest: z.string(), mediaType: z.string() }),
  /** `bytes` of `total` are verified; at most twice a second. */
  z.object({ event: z.literal('progress'), image, bytes: count, total: count }),
  z.object({ event: z.literal('retried'), image, message: z.string() }),
  z.object({
    event: z.literal('done'),
    image,
    digest: z.string(),
    blobs: count,
    bytes: count,
    seconds: count,
  }),
  /** `code` is a `WarmFailure` or `error`. */
  z.object({ event: z.literal('failed'), image, code: z.string(), message: z.string() }),
]);

export type WarmEvent = z.output<typeof schema>;

/** Takes a line of another version's output, too: undefined for what this one does not know. */
export function parseWarmEvent(line: string): WarmEvent | undefined {
  try {
    return schema.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}
