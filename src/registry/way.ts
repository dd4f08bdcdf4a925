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
  /** Makes a connection such as `ask` needs, and closes it. Rejects as `ask` does. */
  reach(url: URL): Promise<void>;
  close(): Promise<void>;
  destroy(): Promise<void>;
}

export interface WayOptions {
  readonly origin: URL;
  readonly rules: AddressRules;
  readonly connect: ConnectOptions;
  readonly timeouts: Timeouts;
}

/** Connections of one kind: kept ones, and a new one. */
interface Connections {
  readonly agent: Agent;
  readonly connect: buildConnector.connector;
}

/** Dials everything itself. */
export function directWay({ origin, rules, connect, timeouts }: WayOptions): Way {
  const own = connectionsBy(directConnector(connect, rules.own), timeouts);
  const foreign = connectionsBy(directConnector(connect, rules.foreign), timeouts);
  const to = (url: URL) => (url.origin === origin.origin ? own : foreign);
  return {
    ask: (url, request) => askAgent(to(url).agent, url, request),
    reach: (url) => open(to(url).connect, url),
    close: async () => void (await Promise.all([own.agent.close(), foreign.agent.close()])),
    destroy: async () => void (await Promise.all([own.agent.destroy(), foreign.agent.destroy()])),
  };
}

/**
 * Dials nothing but the proxy. Of the upstream's own address only what its URL says is known, since a connection's
 * address is the proxy's.
 */
export function proxiedWay({ origin, rules, connect, timeouts }: WayOptions, proxyUrl: URL): Way {
  const proxy = egressProxy(proxyUrl, connect, poolTimeouts(timeouts));
  const admit = proxiedNames(connect.resolve, rules.foreign);
  const admitAll = async () => {};
  const own = connectionsBy(proxy.connector(admitAll), timeouts);
  const foreign = connectionsBy(proxy.connector(admit), timeouts);
  const to = (url: URL) => (url.origin === origin.origin ? own : foreign);
  const ownKind = literalKind(origin.hostname);
  if (ownKind !== undefined) rules.own.learn(ownKind);
  return {
    ask: async (url, request) => {
      if (url.protocol === 'https:') return askAgent(to(url).agent, url, request);
      if (url.origin !== origin.origin) await admit(url.hostname);
      return proxy.forward(url, request);
    },
    // What is forwarded is the proxy's to answer, which knows best whom it reaches.
    reach: async (url) => {
      if (url.protocol === 'https:') await open(to(url).connect, url);
    },
    close: async () => {
      await Promise.all([own.agent.close(), foreign.agent.close()]);
      await proxy.close();
    },
    destroy: async () =>
      void (await Promise.all([own.agent.destroy(), foreign.agent.destroy(), proxy.destroy()])),
  };
}

function askAgent(agent: Agent, url: URL, request: WireRequest): Promise<Dispatcher.ResponseData> {
  return agent.request({ ...request, origin: url.origin, path: url.pathname + url.search });
}

/** Makes a connection and closes it. */
function open(connect: buildConnector.connector, { host, hostname, port, protocol }: URL): Promise<void> {
  const target = { host, hostname: hostname.replace(/^\[(.*)\]$/, '$1'), port, protocol };
  return new Promise((resolve, reject) => {
    connect(target, (...[error, socket]) => {
      if (error !== null) return reject(error);
      socket.on('error', () => {}).destroySoon();
      resolve();
    });
  });
}

function connectionsBy(connect: buildConnector.connector, timeouts: Timeouts): Connections {
  const agent = new Agent({
    ...poolTimeouts(timeouts),
    connect,
    connections: 256,
    pipelining: 1,
    allowH2: false,
  });
  return { agent, connect };
}

function poolTimeouts({ headers, bodyIdle }: Timeouts) {
  return { keepAliveTimeout: 30_000, headersTimeout: headers, bodyTimeout: bodyIdle };
}
