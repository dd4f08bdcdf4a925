import test from 'ava';
import { clusterServiceView, fallbackPort, headlessServiceView } from '../../../src/resources/service.ts';
import { mirrorOf, settingsOf } from './fixtures.ts';

const input = (masqueradeUrl: string) => ({
  mirror: mirrorOf({ upstreamUrl: 'gcr.io', masqueradeUrl }),
  settings: settingsOf(),
});

test('The port for clients with a fallback is never one that clients without it dial', (t) => {
  for (const port of ['', ':443', ':5443', ':5444', ':8443']) {
    const { ports } = clusterServiceView(input(`hub.example${port}`), []);
    t.is(new Set(ports.map((one) => one.port)).size, ports.length, port);
    const fallback = ports.find(({ targetPort }) => targetPort === 'fallback');
    t.is(fallback?.port, fallbackPort(input(`hub.example${port}`).mirror));
  }
  t.is(fallbackPort(input('hub.example').mirror), 5443);
});

test('The headless Service is for replicas and operator; a masquerade’s port can clash with none of its own', (t) => {
  for (const port of ['', ':5002', ':9090']) {
    const view = headlessServiceView(input(`hub.example${port}`));
    t.deepEqual(
      view.ports.map(({ name, port: one }) => [name, one]),
      [
        ['https', 443],
        ['peer', 5002],
        ['metrics', 9090],
      ],
    );
    t.deepEqual([view.publishNotReadyAddresses, view.clusterIPs], [true, ['None']]);
  }
});

test('Where the upstream’s own name leads to the mirror, so does its port: a line of a hosts file has none', (t) => {
  const portsFor = (upstreamUrl: string, nodes = {}, masqueradeUrl = 'hub.example:8443') => {
    const mirror = mirrorOf({ upstreamUrl, masqueradeUrl, nodes });
    const { ports } = clusterServiceView({ mirror, settings: settingsOf() }, []);
    return ports.map(({ name, port }) => `${name} ${port}`);
  };
  const transparent = { wire: 'transparent' };
  const [https, masquerade, fallback] = ['https 443', 'https-masq 8443', 'https-fallback 5443'];
  t.deepEqual(portsFor('reg.local:5000'), [https, masquerade, fallback]);
  t.deepEqual(portsFor('reg.local', transparent), [https, masquerade, fallback]);
  t.deepEqual(portsFor('reg.local:8443', transparent), [https, masquerade, fallback]);
  const upstream = 'https-upstream 5000';
  t.deepEqual(portsFor('reg.local:5000', transparent), [https, masquerade, upstream, fallback]);
  t.deepEqual(portsFor('reg.local:5443', transparent, 'hub.example:5444'), [
    https,
    'https-masq 5444',
    'https-upstream 5443',
    'https-fallback 5445',
  ]);
});
