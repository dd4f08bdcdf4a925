/** The alerts as Prometheus reads them. Pure. */
import { type Alert, type AlertGroup, alertGroups } from './alerts.ts';

/** Where the page with a section for each alert is. */
export const runbookPage = 'docs/operations.md';

/** The content of a rules file, and `spec` of a PrometheusRule. */
export function rules(): { readonly groups: readonly object[] } {
  return { groups: alertGroups.map(groupOf) };
}

function groupOf({ name, alerts }: AlertGroup): object {
  return { name, rules: alerts.map(ruleOf) };
}

function ruleOf({ name, severity, summary, description, expression, for: duration }: Alert): object {
  return {
    alert: name,
    expr: expression,
    ...(duration !== '0m' && { for: duration }),
    labels: { severity },
    annotations: { summary, description, runbook_url: `${runbookPage}#${name.toLowerCase()}` },
  };
}
