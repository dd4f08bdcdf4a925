/** `HTTPS_PROXY` and `NO_PROXY`, in either case, as every program reads them: the proxy of upstreams whose mirror names none. */
import type { OperatorSettings } from '../api/settings.ts';
import { proxyUrlPattern } from '../api/upstream.ts';
import { type Environment, text } from './environment.ts';
import type { Problems } from './problems.ts';

/** Returns nothing where no proxy is set. The value is never shown: it may hold a password. */
export function readEgressProxy(env: Environment, problems: Problems): Pick<OperatorSettings, 'egressProxy'> {
  const name = text(env, 'HTTPS_PROXY') === undefined ? 'https_proxy' : 'HTTPS_PROXY';
  const value = text(env, name);
  if (value === undefined) return {};
  const url = (value.includes('://') ? value : `http://${value}`).toLowerCase().replace(/\/$/, '');
  if (new RegExp(proxyUrlPattern).test(url)) return { egressProxy: { url, noProxy: noProxy(env) } };
  const why = url.includes('@')
    ? ' without user name and password, because files of the cache hold no secret'
    : '';
  problems.add(name, `a proxy as http[s]://host[:port]${why}`);
  return {};
}

function noProxy(env: Environment): string[] {
  const list = text(env, 'NO_PROXY') ?? text(env, 'no_proxy') ?? '';
  return list.split(/[\s,]+/).filter((entry) => entry !== '');
}
