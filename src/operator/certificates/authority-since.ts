/** Since when an object has had an authority in it, which stands in its annotation as `<mark> <time>`. Of another authority, it counts anew. Pure. */
import type { KubeObject } from '../../kube/object.ts';
import { authoritySinceAnnotation } from '../../resources/secret.ts';

/** Milliseconds since the epoch; `now` where the object does not say, or a clock was set back. */
export function sinceOf(object: KubeObject | undefined, mark: string, now: Date): number {
  const [of, time = ''] = (object?.metadata.annotations?.[authoritySinceAnnotation] ?? '').split(' ');
  const since = Date.parse(time);
  return of === mark && since <= now.getTime() ? since : now.getTime();
}

/** The annotation's text. */
export function sinceText(mark: string, since: number): string {
  return `${mark} ${new Date(since).toISOString()}`;
}
