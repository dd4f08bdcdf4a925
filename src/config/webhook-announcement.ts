/** The variables by which the operator announces the webhook to the API server (docs/rewriting.md) into typed settings. */

import { subdomain } from '../api/subdomain.ts';
import type { WebhookCertificateSource, WebhookSettings } from '../api/webhook-settings.ts';
import { type Environment, matching, oneOf, text } from './environment.ts';
import type { Problems } from './problems.ts';

const objectName = new RegExp(`^${subdomain}$`);
const issuerForm = /^((?:Cluster)?Issuer)\/([a-z0-9][-a-z0-9.]*)$/;

/** Reads them; faults go to `problems`. */
export function readWebhookSettings(env: Environment, problems: Problems): WebhookSettings {
  const disabled = (text(env, 'IMAGESWAP_DISABLE_AUTO_MWC') ?? 'false').toLowerCase();
  if (!['true', 'false'].includes(disabled))
    problems.add('IMAGESWAP_DISABLE_AUTO_MWC', 'one of true, false', disabled);
  return {
    certificate: readSource(env, problems),
    failurePolicy: oneOf(env, 'WEBHOOK_FAILURE_POLICY', ['Ignore', 'Fail'], 'Ignore', problems),
    timeoutSeconds: readTimeout(env, problems),
    reinvocationPolicy: oneOf(env, 'WEBHOOK_REINVOCATION', ['IfNeeded', 'Never'], 'IfNeeded', problems),
    workloads: oneOf(env, 'WEBHOOK_WORKLOADS', ['false', 'true'], 'false', problems) === 'true',
    managesConfiguration: disabled !== 'true',
    injectInto: readNames(env, problems),
  };
}

function readSource(env: Environment, problems: Problems): WebhookCertificateSource {
  const kinds = ['own', 'cert-manager', 'secret', 'files'] as const;
  switch (oneOf(env, 'WEBHOOK_CERTIFICATE', kinds, 'own', problems)) {
    case 'own':
      return { kind: 'own' };
    case 'cert-manager':
      return { kind: 'certManager', issuer: readIssuer(env, problems) };
    case 'secret':
      return {
        kind: 'secret',
        name: required(env, 'WEBHOOK_CERTIFICATE_SECRET', objectName, 'the name of a Secret', problems),
      };
    case 'files':
      return {
        kind: 'files',
        authorityFile: required(env, 'WEBHOOK_CA_FILE', /^\//, 'an absolute path', problems),
      };
  }
}

function readIssuer(env: Environment, problems: Problems) {
  const value = text(env, 'WEBHOOK_ISSUER') ?? 'Issuer/mirror-operator-issuer';
  const [, kind, name = ''] = issuerForm.exec(value) ?? [];
  if (kind === undefined) problems.add('WEBHOOK_ISSUER', 'Issuer/NAME or ClusterIssuer/NAME', value);
  return { kind: kind === 'ClusterIssuer' ? kind : 'Issuer', name } as const;
}

function required(
  env: Environment,
  name: string,
  form: RegExp,
  expected: string,
  problems: Problems,
): string {
  const value = matching(env, name, form, expected, problems);
  if (value === undefined) problems.add(name, `${expected}, because of WEBHOOK_CERTIFICATE`);
  return value ?? '';
}

function readTimeout(env: Environment, problems: Problems): number {
  const value = Number(text(env, 'WEBHOOK_TIMEOUT_SECONDS') ?? '5');
  if (!Number.isInteger(value) || value < 1 || value > 30)
    problems.add('WEBHOOK_TIMEOUT_SECONDS', 'a whole number from 1 to 30', env['WEBHOOK_TIMEOUT_SECONDS']);
  return value;
}

function readNames(env: Environment, problems: Problems): string[] {
  const names = (text(env, 'WEBHOOK_INJECT_CA') ?? '').split(/[\s,]+/).filter((name) => name !== '');
  const wrong = names.filter((name) => !objectName.test(name));
  if (wrong.length > 0)
    problems.add('WEBHOOK_INJECT_CA', 'names of MutatingWebhookConfigurations', wrong.join(','));
  return names;
}
