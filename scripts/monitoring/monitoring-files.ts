/** The generated files of deploy/components/monitoring: rules and dashboard. The main file of this folder. Pure. */
import { dump } from 'js-yaml';
import { dashboard } from './dashboard.ts';
import { rules } from './rules.ts';

const folder = 'deploy/components/monitoring';
const head = '# Generated from scripts/monitoring by `npm run generate`. Do not edit.\n';

/** Every generated file: its path in the repository and its content. */
export function monitoringFiles(): Map<string, string> {
  return new Map([
    [`${folder}/rules.yaml`, yaml(ruleObject())],
    [`${folder}/dashboard.yaml`, yaml(dashboardObject())],
    [`${folder}/plain/rules.yaml`, yaml(rules())],
    [`${folder}/plain/dashboard.json`, dashboardText()],
  ]);
}

function ruleObject(): object {
  return {
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PrometheusRule',
    metadata: { name: 'registry-mirrors', namespace: 'default' },
    spec: rules(),
  };
}

/** With the label by which Grafana's sidecar finds dashboards. */
function dashboardObject(): object {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: 'registry-mirrors-dashboard',
      namespace: 'default',
      labels: { grafana_dashboard: '1' },
    },
    data: { 'registry-mirrors.json': dashboardText() },
  };
}

function dashboardText(): string {
  return `${JSON.stringify(dashboard(), null, 2)}\n`;
}

function yaml(object: object): string {
  return head + dump(object, { lineWidth: 120, noRefs: true });
}
