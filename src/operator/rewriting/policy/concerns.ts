/** Which images are worth a look: what the policy's match condition asks, by the beginning of an image alone. Pure. */
import type { RuleLookUps, RuleSet } from '../../../api/rewrite-rules.ts';
import { registryOf, splitPort } from '../../../image/reference.ts';
import { placesOf } from './chains.ts';
import { namesOf } from './compile-lines.ts';

/** So many beginnings are compared for each image; more would cost more than they save. */
const mostBeginnings = 16;

/** Takes a set without chains, in which whatever lies where rules put images stays. */
export function concernsOf(rules: RuleLookUps): RuleSet['concerns'] {
  const { patterns, legacy, gilly } = rules;
  const everything =
    patterns.length > 0 ||
    [legacy, gilly, rules.default].some(({ form }) => form !== 'none' && form !== 'stay');
  return { everything, left: everything ? leftOf(rules) : [], ...registriesOf(rules) };
}

function leftOf(rules: RuleLookUps): string[] {
  const places = placesOf(rules).filter(({ kind }) => kind !== 'port' && kind !== 'glue');
  const begins = places.map((place) => place.begins);
  if (rules.legacy.form !== 'none') begins.push(rules.legacy.to);
  return [...new Set(begins)].slice(0, mostBeginnings);
}

function registriesOf({
  registries,
  mirrors,
}: RuleLookUps): Pick<RuleSet['concerns'], 'dockerHub' | 'hosts'> {
  const lines = Object.entries(registries).filter(([, { form }]) => form !== 'stay');
  const keys = [...lines.map(([key]) => key), ...Object.keys(mirrors)];
  const hosts = keys.map((key) => splitPort(key.split('/')[0] ?? '').host);
  const dockerHub = hosts.some((host) => registryOf({ registry: host }) === 'docker.io');
  return {
    dockerHub,
    hosts: namesOf(hosts),
  };
}
