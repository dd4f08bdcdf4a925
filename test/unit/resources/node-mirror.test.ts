import test from 'ava';
import type { NodeMirror } from '../../../src/api/node-mirror.ts';
import { parseMirrorsFile } from '../../../src/config/mirrors-file.ts';
import { readNodeAgentEnvironment } from '../../../src/config/node-agent-environment.ts';
import { daemonSetView } from '../../../src/resources/daemon-set.ts';
import { nodeMirror } from '../../../src/resources/node-mirror.ts';
import { mirrorOf, settingsOf } from './fixtures.ts';

const addresses = ['10.96.7.1'];

/** What agents are told; `masquerade` is trusted as the operator has it. */
function told(upstreamUrl: string, masquerade?: string, wire = 'alias'): NodeMirror {
  const spec = { upstreamUrl, ...(masquerade && { masqueradeUrl: masquerade }), nodes: { wire } };
  const certificateNames = [masquerade ?? `mirror-${upstreamUrl}`];
  const options = { clusterIPs: addresses, nodePort: 29_001, certificateNames };
  return nodeMirror({ mirror: mirrorOf(spec), settings: settingsOf() }, options);
}

test('An alias is led alone, or beside the reference name of the upstream', (t) => {
  const alias = { name: 'mirror-quay.io', upstream: false };
  t.deepEqual(told('quay.io').names, [alias]);
  t.deepEqual(told('quay.io', undefined, 'transparent').names, [{ name: 'quay.io', upstream: true }, alias]);
  t.like(told('quay.io'), { hostsNames: ['mirror-quay.io'], certificateNames: ['mirror-quay.io'] });
});

for (const masquerade of ['docker.io', 'registry-1.docker.io', 'index.docker.io', 'registry-1.docker.io:443'])
  for (const wire of ['alias', 'transparent'])
    test(`${masquerade} is Docker Hub's own name: its references are led, and no line or authority is for it (${wire})`, (t) => {
      t.like(told('docker.io', masquerade, wire), {
        names: [{ name: 'docker.io', upstream: true }],
        fallbackPort: 5443,
        hostsNames: [],
        certificateNames: [],
      });
    });

test('A foreign image writes no line for Docker Hub’s own names either', (t) => {
  const settings = settingsOf({ HOSTESS_DOCKER_IMAGE: 'team/hostess' });
  const hostessFor = (masqueradeUrl: string) => {
    const mirror = mirrorOf({ upstreamUrl: 'docker.io', masqueradeUrl });
    const options = { clusterIPs: addresses, certificateNames: [masqueradeUrl] };
    return daemonSetView({ mirror, settings }, { ...options, mode: 'wire', ownerReferences: true }).hostess;
  };
  t.is(hostessFor('registry-1.docker.io'), null);
  t.not(hostessFor('hub.example'), null);
});

for (const [upstreamUrl, masquerade, names] of [
  ['quay.io', 'quay.io', ['quay.io']],
  ['quay.io', 'quay.io:443', ['quay.io', 'quay.io:443']],
  ['https://quay.io:443', 'quay.io', ['quay.io', 'quay.io:443']],
  ['http://reg.local', 'reg.local:80', ['reg.local', 'reg.local:80']],
  ['reg.local:5000', 'reg.local:5000', ['reg.local:5000']],
] as const)
  test(`${masquerade} is the name of upstream ${upstreamUrl} itself: runtimes are led for ${names.join(' and ')}`, (t) => {
    const { names: led } = told(upstreamUrl, masquerade);
    t.deepEqual(
      led.map(({ name, upstream }) => ({ name, upstream })),
      names.map((name) => ({ name, upstream: true })),
    );
  });

test('Another port than the scheme’s own makes another registry, and what is behind a path has no name', (t) => {
  for (const [upstreamUrl, masquerade] of [
    ['quay.io', 'quay.io:80'],
    ['http://reg.local', 'reg.local:443'],
    ['harbor.example/hub', 'harbor.example'],
  ] as const)
    t.deepEqual(told(upstreamUrl, masquerade).names, [{ name: masquerade, upstream: false }]);
});

test('No runtime is told to ask Docker Hub in the clear', (t) => {
  t.deepEqual(told('http://docker.io', 'docker.io').names, [{ name: 'docker.io', upstream: true }]);
});

for (const [upstreamUrl, scheme] of [
  ['http://reg.local:5000', 'http'],
  ['https://reg.local:5000', undefined],
  ['reg.local:5000', undefined],
] as const)
  test(`Agents hear how ${upstreamUrl} is dialled, by their environment and by a list`, (t) => {
    const spec = { upstreamUrl, masqueradeUrl: 'reg.local:5000' };
    const own = { name: 'reg.local:5000', upstream: true, ...(scheme && { scheme }) };
    const input = { mirror: mirrorOf(spec), settings: settingsOf() };
    const options = { clusterIPs: addresses, nodePort: 29_001, certificateNames: [own.name] };
    const { agent } = daemonSetView(input, { ...options, mode: 'wire', ownerReferences: true });
    const env = Object.fromEntries(agent.env.map(({ name, value }) => [name, value]));
    const [byEnvironment] = readNodeAgentEnvironment(env).agent.mirrors().mirrors;
    t.deepEqual(byEnvironment?.names, [own]);
    const entry = { ...nodeMirror(input, options), bundle: '0123456789abcdef.pem' };
    const client = { certFile: '/t/tls.crt', keyFile: '/t/tls.key' };
    const { mirrors } = parseMirrorsFile(JSON.stringify({ mirrors: [entry] }), '/t/mirrors.json', client);
    t.deepEqual(mirrors[0]?.names, [own]);
  });
