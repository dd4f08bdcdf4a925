/** The ways on which requests leave: directly, or through an egress proxy. Both keep what is the upstream's own apart. */
import { Agent, type buildConnector, type Dispatcher } from 'undici';
import { type AddressRules, literalKind } from './address-rule.ts';
import { type ConnectOptions, directConnector } from './connect.ts';
import { egressProxy, type WireRequest } from './egress-proxy.ts';
import { proxiedNames } from './proxied-names.ts';
import type { Timeouts } from './transport.ts';

export interface Way {
  /** Rejects with whatever undici or a connector failed with. */
  ask(url: URL, request: WireRequest): Promise<Dispatcher.ResponseData>;
  close(): Promise<void>;
  destroy(): Promise<void>;
}

export interface WayOptions {
  readonly origin: URL;
  readonly rules: AddressRules;
  readonly connect: ConnectOptions;
  readonly timeouts: Timeouts;
}

/** Dials everything itself. */
export function directWay({ origin, rules, connect, timeouts }: WayOptions): Way {
  const own = createAgent(timeouts, directConnector(connect, rules.own));
  const foreign = createAgent(timeouts, directConnector(connect, rules.foreign));
  return {
    ask: (url, request) => askAgent(url.origin === origin.origin ? own : foreign, url, request),
    close: async () => void (await Promise.all([own.close(), foreign.close()])),
    destroy: async () => void (await Promise.all([own.destroy(), foreign.destroy()])),
  };
}

/**
 * Dials nothing but the proxy. Of the upstream's own address only what its URL says is known, since a connection's
 * address is the proxy's.
 */
export function proxiedWay({ origin, rules, connect, timeouts }: WayOptions, proxyUrl: URL): Way {
  const proxy = egressProxy(proxyUrl, connect, poolTimeouts(timeouts));
  const admit = proxiedNames(connect.resolve, rules.foreign);
  const own = createAgent(
    timeouts,
    proxy.connector(async () => {}),
  );
  const foreign = createAgent(timeouts, proxy.connector(admit));
  const ownKind = literalKind(origin.hostname);
  if (ownKind !== undefined) rules.own.learn(ownKind);
  return {
    ask: async (url, request) => {
      const isOwn = url.origin === origin.origin;
      if (url.protocol === 'https:') return askAgent(isOwn ? own : foreign, url, request);
      if (!isOwn) await admit(url.hostname);
      return proxy.forward(url, request);
    },
    close: async () => {
      await Promise.all([own.close(), foreign.close()]);
      await proxy.close();
    },
    destroy: async () => void (await Promise.all([own.destroy(), foreign.destroy(), proxy.destroy()])),
  };
}

function askAgent(agent: Agent, url: URL, request: WireRequest): Promise<Dispatcher.ResponseData> {
  return agent.request({ ...request, origin: url.origin, path: url.pathname + url.search });
}

function createAgent(timeouts: Timeouts, connect: buildConnector.connector): Agent {
  return new Agent({
    ...poolTimeouts(timeouts),
    connect,
    connections: 256,
    pipelining: 1,
    allowH2: false,
  });
}

function poolTimeouts({ headers, bodyIdle }: Timeouts) {
  return { keepAliveTimeout: 30_000, headersTimeout: headers, bodyTimeout: bodyIdle };
}
