/** The variables that `--map-update` and `--map-check` need; a part of the operator's, without what makes it slow to load. */
import type { OperatorSettings } from '../api/settings.ts';
import { type Environment, namespaceOf, oneOf, text } from './environment.ts';
import { Problems } from './problems.ts';

export type MapSettings = Pick<OperatorSettings, 'namespace' | 'imageswapNamespace' | 'imageswapSeparator'>;

/** Throws `ConfigError` listing every fault; the map exists in scheme `services` only. */
export function readMapSettings(env: Environment): MapSettings {
  const problems = new Problems();
  const scheme = text(env, 'ADDRESSING_SCHEME');
  if (scheme !== 'services')
    problems.add('ADDRESSING_SCHEME', 'services with --map-update and --map-check', scheme);
  const settings = readMapPart(env, problems);
  problems.throwIfAny();
  return settings;
}

/** Reads the same variables for the operator. */
export function readMapPart(env: Environment, problems: Problems): MapSettings {
  const namespace = namespaceOf(env, 'NAMESPACE', problems) ?? 'default';
  return {
    namespace,
    imageswapNamespace: namespaceOf(env, 'IMAGESWAP_NAMESPACE', problems) ?? namespace,
    imageswapSeparator: oneOf(env, 'IMAGESWAP_MAP_SEPARATOR', [':', '::'], ':', problems),
  };
}
