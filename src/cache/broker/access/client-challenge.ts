/** What of an upstream's challenge a client is told. Pure. */
import { type Challenge, parseChallenges } from '../../../registry/challenge.ts';

/** What a client needs to get a token; `error` was about somebody's earlier one. */
const told = ['realm', 'service', 'scope', 'charset'];

/**
 * Takes the text of `WWW-Authenticate` and returns one challenge of it, `Bearer` before `Basic`: nginx passes one header on, and
 * clients read one challenge in it. Undefined where there is neither.
 */
export function clientChallenge(text: string | undefined): string | undefined {
  const challenges = parseChallenges(text);
  const of = (name: string) =>
    challenges.find(({ scheme, params }) => scheme === name && params.has('realm'));
  const bearer = of('bearer');
  if (bearer !== undefined) return `Bearer ${parameters(bearer)}`;
  const basic = of('basic');
  return basic && `Basic ${parameters(basic)}`;
}

function parameters({ params }: Challenge): string {
  return told
    .flatMap((name) => (params.has(name) ? [`${name}=${quoted(params.get(name) ?? '')}`] : []))
    .join(',');
}

/** Only what a header may hold. */
function quoted(value: string): string {
  return `"${value.replace(/[^\x20-\x7e]/g, '').replace(/["\\]/g, '\\$&')}"`;
}
