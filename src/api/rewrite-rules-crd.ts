/** The CustomResourceDefinition of RewriteRules. Pure; run by `npm run generate`. */
import { crdOf } from './crd.ts';
import { rewriteRulesSchema } from './rewrite-rules.ts';
import { rewriteRulesKind } from './rewrite-rules-kind.ts';

/** Returns the CRD as a plain object. */
export function rewriteRulesCrd(): Record<string, unknown> {
  return crdOf({
    ...rewriteRulesKind,
    shortNames: ['rwr'],
    description:
      'Which rules rewrite the images of pods, and whether the API server applies them by a policy or the webhook does. Written by the operator.',
    schema: rewriteRulesSchema,
    subresources: { status: {} },
    columns: [
      { name: 'Engine', type: 'string', jsonPath: '.status.engine' },
      { name: 'Rules', type: 'integer', jsonPath: '.status.rules' },
      { name: 'Reason', type: 'string', jsonPath: '.status.reason' },
      { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
    ],
  });
}
