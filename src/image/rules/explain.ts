/** What became of an image, for people. */
import { type Outcome, type PassedOver, type Rewrite, type RewriteRequest, ruleName } from '../settle.ts';

const passedOverReasons: Readonly<Record<PassedOver['reason'], string>> = {
  pullSecrets: 'the pod has imagePullSecrets, which are not for the mirror’s name',
  nodeCritical: 'the node needs the pod to come up',
  windows: 'no node with Windows trusts a mirror',
  neverPulled: 'its pull policy is Never',
  mirrorUnavailable: 'no cache of the mirror is available, or no node trusts it yet',
  excluded: 'the image’s registry is excluded',
};

const stays: Readonly<Record<Exclude<Outcome, 'rewritten'>, string>> = {
  decided: 'stays, as the rule wants it',
  already: 'stays: it is what the rule makes',
  none: 'stays: no rule is for it',
  optedOut: 'stays: its pod is left alone',
  invalid: 'stays: the rule makes no image reference of it',
  circle: 'stays: rules lead in a circle, or have no end',
  notReference: 'stays: it is no image reference, and no rule is for this text',
};

/** Returns one line for each rule that was applied or passed over, and one for the outcome. */
export function explainRewrite(rewrite: Rewrite, request: RewriteRequest = {}): string[] {
  const { image, outcome, rule, steps, passedOver, warning } = rewrite;
  const lines = passedOver.map(
    (passed) => `${image}: ${ruleName(passed.rule)} does not apply: ${passedOverReasons[passed.reason]}`,
  );
  lines.push(...steps.map((step) => `${image}: ${ruleName(step.rule)} makes it ${step.result}`));
  if (outcome !== 'rewritten')
    lines.push(`${image}: ${rule === undefined ? '' : `${ruleName(rule)}: `}${stays[outcome]}`);
  if (outcome === 'optedOut' && request.optedOut !== undefined) lines.push(`${image}: ${request.optedOut}`);
  return warning === undefined ? lines : [...lines, warning];
}
