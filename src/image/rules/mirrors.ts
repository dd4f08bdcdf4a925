/** Mirrors in services mode: images of a masquerade name are asked of the mirror's address. */
import { isReferencePrefix, registryOf, repositoryOf, suffixOf } from '../reference.ts';
import type { Rule, Stage } from '../settle.ts';

/** A RegistryMirror as the rules need it. */
export interface RuleMirror {
  readonly name: string;
  readonly masquerade: string;
  /** `host[:port]`, IPv6 in brackets; undefined while its Service has none. */
  readonly address: string | undefined;
  /** Whether a cache answers that nodes trust. */
  readonly available: boolean;
  /** Why there can be no rule; most mirrors have none. */
  readonly obstacle?: string | undefined;
}

/** The rule of a mirror that has one. */
export interface MirrorRule {
  readonly rule: Rule;
  /** `<address>/<masquerade>`, which the mirror takes off again. */
  readonly prefix: string;
  readonly available: boolean;
}

/** Returns the stage, and for each mirror that can have no rule the reason why. */
export function compileMirrors(mirrors: readonly RuleMirror[]): {
  readonly stage: Stage;
  readonly leftOut: ReadonlyMap<string, string>;
} {
  const { byRegistry, leftOut } = mirrorRules(mirrors);
  const made = new Map([...byRegistry.values()].map(({ prefix, rule }) => [prefix, rule]));
  return { stage: stageOf(byRegistry, made), leftOut };
}

/**
 * Rules by the registry they are for. Of two mirrors with one masquerade the first counts. An image is looked up by its registry, as written and
 * as meant. Mirrors that are not available are passed over, and all of them by pods that have a reason (`Bypass`).
 */
export function mirrorRules(mirrors: readonly RuleMirror[]): {
  readonly byRegistry: ReadonlyMap<string, MirrorRule>;
  readonly leftOut: ReadonlyMap<string, string>;
} {
  const byRegistry = new Map<string, MirrorRule>();
  const leftOut = new Map<string, string>();
  for (const mirror of mirrors) {
    const obstacle = obstacleOf(mirror, byRegistry);
    if (obstacle !== undefined) {
      leftOut.set(mirror.name, obstacle);
      continue;
    }
    const rule: Rule = { source: 'mirror', key: mirror.masquerade, object: mirror.name };
    const prefix = `${mirror.address}/${mirror.masquerade}`;
    byRegistry.set(mirror.masquerade, { rule, prefix, available: mirror.available });
  }
  return { byRegistry, leftOut };
}

function obstacleOf(mirror: RuleMirror, byRegistry: ReadonlyMap<string, MirrorRule>): string | undefined {
  const { masquerade, address } = mirror;
  if (address === undefined) return 'it has no address yet';
  if (mirror.obstacle !== undefined) return mirror.obstacle;
  if (masquerade.includes(':')) return 'a masqueradeUrl with a port makes an invalid image path';
  if (!isReferencePrefix(`${address}/${masquerade}`))
    return `${address}/${masquerade} is no beginning of an image reference`;
  const other = byRegistry.get(masquerade)?.rule.object;
  return other === undefined ? undefined : `${other} has the same masqueradeUrl`;
}

function stageOf(byRegistry: ReadonlyMap<string, MirrorRule>, made: ReadonlyMap<string, Rule>): Stage {
  return ({ image, reference, request, passOver }) => {
    if (reference === undefined) return undefined;
    const maker = made.get(firstTwoSegments(image));
    if (maker !== undefined) return { rule: maker, stay: 'already' };
    const found = byRegistry.get(reference.registry ?? '') ?? byRegistry.get(registryOf(reference));
    if (found === undefined) return undefined;
    const { rule, prefix, available } = found;
    if (request.isNeverPulled) return passOver({ rule, reason: 'neverPulled' });
    if (!available) return passOver({ rule, reason: 'mirrorUnavailable' });
    if (request.bypass !== undefined) return passOver({ rule, reason: request.bypass });
    return { rule, to: `${prefix}/${repositoryOf(reference)}${suffixOf(reference)}` };
  };
}

function firstTwoSegments(image: string): string {
  return image.slice(0, Math.max(0, image.indexOf('/', image.indexOf('/') + 1)));
}
