/** The variables of image rewriting (docs/rewriting.md) into typed settings: imageswap's and gilly's names, and our own. */
import type { RewriteSettings } from '../api/rewrite-settings.ts';
import { qualifiedName } from '../api/subdomain.ts';
import { isLegacyPrefix } from '../image/imageswap/legacy.ts';
import { parseImageswapMode } from '../image/imageswap/mode.ts';
import { isGillyRegistry, parseExclusions } from '../image/rules/gilly.ts';
import { type Environment, matching, namespaceOf, oneOf, text } from './environment.ts';
import type { Problems } from './problems.ts';

const labelKey = new RegExp(`^${qualifiedName}$`);
const ownerKind = /^[A-Z][A-Za-z0-9]*(\.[a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$/;
/** CloudNativePG restarts pods whose image is not the one it wrote. */
const defaultSkipOwners = 'Cluster.postgresql.cnpg.io';

/** Reads what says how images are rewritten; faults go to `problems`. */
export function readRewriteSettings(env: Environment, problems: Problems): RewriteSettings {
  const namespace = namespaceOf(env, 'NAMESPACE', problems) ?? 'default';
  const scheme = oneOf(env, 'ADDRESSING_SCHEME', ['hostess', 'services'], 'hostess', problems);
  const mirrors = scheme === 'services';
  return {
    engine: oneOf(env, 'REWRITE_ENGINE', ['none', 'webhook', 'policy', 'auto'], 'none', problems),
    namespace,
    mirrors,
    ...given('imageswap', readImageswap(env, { namespace, mirrors }, problems)),
    ...given('gilly', readGilly(env, problems)),
    disableLabel:
      matching(env, 'IMAGESWAP_DISABLE_LABEL', labelKey, 'the key of a label', problems) ??
      'k8s.twr.io/imageswap',
    namespaces: oneOf(env, 'REWRITE_NAMESPACES', ['all', 'labelled'], 'all', problems),
    skipOwners: readOwners(env, problems),
    annotate: oneOf(env, 'REWRITE_ANNOTATE', ['true', 'false'], 'true', problems) === 'true',
  };
}

function given<K extends keyof RewriteSettings>(key: K, value: RewriteSettings[K]): Partial<RewriteSettings> {
  return value === undefined ? {} : { [key]: value };
}

/** In scheme `services` the ConfigMap holds the mirrors' own lines, which are rules already; a file is somebody else's map. */
function readImageswap(
  env: Environment,
  { namespace, mirrors }: { namespace: string; mirrors: boolean },
  problems: Problems,
): RewriteSettings['imageswap'] {
  const mode = parseImageswapMode(text(env, 'IMAGESWAP_MODE'));
  if (mode === undefined) problems.add('IMAGESWAP_MODE', 'MAPS or LEGACY', env['IMAGESWAP_MODE']);
  if (mode === 'legacy') return readLegacy(env, problems);
  const file = text(env, 'IMAGESWAP_MAPS_FILE');
  if (file?.startsWith('/') === false) problems.add('IMAGESWAP_MAPS_FILE', 'an absolute path', file);
  if (file !== undefined) return { file };
  const configMapNamespace = namespaceOf(env, 'IMAGESWAP_NAMESPACE', problems) ?? namespace;
  return mirrors ? undefined : { configMapNamespace };
}

/** An empty prefix is no rule, as in imageswap. */
function readLegacy(env: Environment, problems: Problems): RewriteSettings['imageswap'] {
  const legacyPrefix = text(env, 'IMAGE_PREFIX') ?? '';
  if (!isLegacyPrefix(legacyPrefix))
    problems.add('IMAGE_PREFIX', 'the beginning of an image reference', legacyPrefix);
  return { legacyPrefix };
}

function readGilly(env: Environment, problems: Problems): RewriteSettings['gilly'] {
  const registry = text(env, 'GILLY_REGISTRY');
  const exclude = parseExclusions(text(env, 'GILLY_EXCLUDE_REGISTRIES') ?? '');
  const keepSource = oneOf(env, 'GILLY_KEEP_SOURCE', ['false', 'true'], 'false', problems) === 'true';
  if (registry === undefined) return undefined;
  if (!isGillyRegistry(registry))
    problems.add('GILLY_REGISTRY', 'a registry as host[:port][/path]', registry);
  return { registry, exclude, keepSource };
}

/** Empty: nobody's pods are left alone. */
function readOwners(env: Environment, problems: Problems): string[] {
  const value = env['REWRITE_SKIP_OWNERS'] ?? defaultSkipOwners;
  const owners = value.split(/[\s,]+/).filter((owner) => owner !== '');
  const wrong = owners.filter((owner) => !ownerKind.test(owner));
  if (wrong.length > 0) problems.add('REWRITE_SKIP_OWNERS', 'kinds as Kind.group', wrong.join(','));
  return owners;
}
