/** How nodes reach a mirror, as its status tells. Pure. */
import { nodeWiring } from '../../api/nodes.ts';
import type { RegistryMirror } from '../../api/registry-mirror.ts';
import type { OperatorSettings } from '../../api/settings.ts';
import { masqueradesAsUpstream } from '../../api/upstream.ts';
import type { Report } from './report.ts';

/** A mirror whose own name is the upstream's is found by it. */
export function wiringOf(
  mirror: RegistryMirror,
  { addressingScheme }: Pick<OperatorSettings, 'addressingScheme'>,
): NonNullable<Report['wiring']> {
  const { wire } = nodeWiring(mirror, addressingScheme);
  const isAlias = wire === 'alias' && !masqueradesAsUpstream(mirror);
  return { wire, byNameAlone: addressingScheme === 'hostess' && isAlias };
}
