/** Mirrors and gilly as the policy looks them up. Pure. */
import type { RuleSet } from '../../../api/rewrite-rules.ts';
import { dockerHubNames, registryOf } from '../../../image/reference.ts';
import { exclusionsOf, type GillySettings, gillyTarget } from '../../../image/rules/gilly.ts';
import { mirrorRules, type RuleMirror } from '../../../image/rules/mirrors.ts';
import { namesOf, noRule, prefixesOf } from './compile-lines.ts';
import { wholeExpression } from './glob-expression.ts';

/** Available mirrors by every registry whose images they get; what an unavailable one made stays, too. */
export function compileMirrorNames(
  mirrors: readonly RuleMirror[],
): Pick<RuleSet, 'mirrors' | 'mirrorTargets'> {
  const { byRegistry } = mirrorRules(mirrors);
  const registries = new Set([...byRegistry.keys(), ...dockerHubNames]);
  const made = [...byRegistry.values()]
    .map(({ prefix }) => prefix)
    .filter((prefix) => prefix.split('/').length === 2);
  return {
    mirrors: Object.fromEntries(
      [...registries].flatMap((registry) => {
        const found = byRegistry.get(registry) ?? byRegistry.get(registryOf({ registry }));
        return found?.available ? [[registry, { form: 'repository', to: found.prefix }]] : [];
      }),
    ),
    mirrorTargets: prefixesOf(made),
  };
}

/** Takes settings with a registry that `isGillyRegistry`; undefined: no rule. */
export function compileGillyNames(gilly: GillySettings | undefined): Pick<RuleSet, 'gilly' | 'exclusions'> {
  const exclusions = exclusionsOf(gilly?.exclude ?? []);
  const entries = (kind: (typeof exclusions)[number]['kind']) =>
    exclusions.filter((exclusion) => exclusion.kind === kind).map(({ entry }) => entry);
  return {
    gilly:
      gilly === undefined
        ? noRule
        : { form: gilly.keepSource ? 'source' : 'path', to: gillyTarget(gilly.registry) },
    exclusions: {
      registries: namesOf(entries('registry')),
      parts: entries('part'),
      ends: entries('end'),
      matches: entries('pattern').map(wholeExpression),
    },
  };
}
