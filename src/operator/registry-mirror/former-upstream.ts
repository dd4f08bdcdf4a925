/** Whether the pods have been another upstream's until now: what they show to that one is nothing for this one. Pure. */
import type { RegistryMirror } from '../../api/registry-mirror.ts';
import { parseUpstream } from '../../api/upstream.ts';
import { secretText } from '../certificates/secret-text.ts';
import type { LiveObjects } from './live-objects.ts';

/** By the status and by the configuration: a pass may have ended between the two, and a mirror that is held back has a status alone. */
export function isMovedFrom(
  { spec, status }: Pick<RegistryMirror, 'spec' | 'status'>,
  { configSecret }: Pick<LiveObjects, 'configSecret'>,
): boolean {
  const { host } = parseUpstream(spec.upstreamUrl);
  const known = [status?.upstream?.split('/')[0], configuredHost(secretText(configSecret, 'broker.json'))];
  return known.some((one) => one !== undefined && one !== host);
}

/** Undefined where it cannot be read. */
function configuredHost(text: string | undefined): string | undefined {
  try {
    const config = JSON.parse(text ?? '') as { mirrors?: readonly { upstream?: { host?: string } }[] } | null;
    return config?.mirrors?.[0]?.upstream?.host;
  } catch {
    return undefined;
  }
}
