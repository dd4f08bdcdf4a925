import assert from 'node:assert/strict';
import test from 'ava';
import { readNodeAgentEnvironment } from '../../../src/config/node-agent-environment.ts';
import { ConfigError } from '../../../src/config/problems.ts';
import type { HostsEntry } from '../../../src/node/hosts-file.ts';
import { hostsEntries } from '../../../src/node/mirror-endpoint.ts';
import type { WiredMirror } from '../../../src/node/options.ts';

const whole = {
  SERVICE_NAME: 'registry-mirror-hub',
  SHADOW_FQDN: 'mirror-hub.example:5000',
  MIRROR_ADDRESSES: '10.96.0.10,fd00::10',
};

function problemsOf(environment: Record<string, string>, mode?: string): readonly string[] {
  try {
    readNodeAgentEnvironment(environment, mode);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

function mirrorOf(environment: Record<string, string>): WiredMirror {
  const [mirror] = readNodeAgentEnvironment(environment).agent.mirrors().mirrors;
  assert.ok(mirror);
  return mirror;
}

function linesOf(environment: Record<string, string>): HostsEntry[] {
  const mirror = mirrorOf(environment);
  return hostsEntries(mirror, mirror.hostsNames);
}

test('what wires container runtimes comes in variables of our own', (t) => {
  const mirror = mirrorOf({
    ...whole,
    UPSTREAM_NAMES: 'docker.io',
    ALIAS_NAMES: 'mirror-hub.example:5000,docker.io',
    NODE_PORT: '29001',
    FALLBACK_PORT: '5443',
    SERVER_NAME: 'registry-mirror-hub.mirrors.svc',
    RUNTIMES: 'hosts,auto',
    CONTAINERD: 'configure',
    FOREIGN_FILES: 'takeover',
    CLIENT_CERTIFICATE: 'true',
  });
  t.like(mirror, {
    names: [
      { name: 'docker.io', upstream: true },
      { name: 'mirror-hub.example:5000', upstream: false },
    ],
    port: 29_001,
    fallbackPort: 5443,
    endpoint: 'loopback',
    serverName: 'registry-mirror-hub.mirrors.svc',
    runtimes: ['auto', 'hosts'],
    containerd: 'configure',
    foreignFiles: 'takeover',
    clientCertificate: true,
  });
});

test('the upstream’s names are dialled by https, or as it is said; an alias has no scheme', (t) => {
  const names = { ...whole, UPSTREAM_NAMES: 'reg.local', ALIAS_NAMES: 'mirror-reg.local' };
  const alias = { name: 'mirror-reg.local', upstream: false };
  for (const environment of [names, { ...names, UPSTREAM_SCHEME: 'https' }])
    t.deepEqual(mirrorOf(environment).names, [{ name: 'reg.local', upstream: true }, alias]);
  t.deepEqual(mirrorOf({ ...names, UPSTREAM_SCHEME: 'http' }).names, [
    { name: 'reg.local', upstream: true, scheme: 'http' },
    alias,
  ]);
  t.regex(problemsOf({ ...names, UPSTREAM_SCHEME: 'ftp' }).join(), /UPSTREAM_SCHEME: expected/);
});

test('the operator is told the status on the port of the mirror', (t) => {
  const { agent } = readNodeAgentEnvironment({
    ...whole,
    NODE_PORT: '29001',
    STATUS_ADDRESSES: '10.0.0.1,fd00::1',
  });
  t.like(agent.statusServer, { addresses: ['10.0.0.1', 'fd00::1'], port: 29_001 });
  t.regex(problemsOf({ ...whole, STATUS_ADDRESSES: '10.0.0.1' }).join(), /STATUS_PORT: expected/);
});

test('the names of mirror-hostess are enough; the rest has defaults', (t) => {
  const { agent, logLevel } = readNodeAgentEnvironment({
    ...whole,
    LOG_LEVEL: 'WARNING',
    SECONDS_BETWEEN_STREAMS: '5',
  });
  t.like(agent, {
    mode: 'wire',
    hostRoot: '/host',
    hostsFile: '/etc/hosts',
    hostsBackup: '/etc/hosts.backup',
    lockFile: '/var/lock/mirror-hostess',
    interval: 5000,
  });
  t.like(agent.mirrors().mirrors[0], {
    name: 'hub',
    names: [],
    serverName: 'mirror-hub.example',
    runtimes: ['auto'],
    certificateNames: ['mirror-hub.example:5000'],
    foreignHostsLines: 'override',
  });
  t.is(logLevel, 'warn');
});

test('each address gives a line; a port is no part of it', (t) => {
  t.deepEqual(linesOf(whole), [
    { address: '10.96.0.10', name: 'mirror-hub.example' },
    { address: 'fd00::10', name: 'mirror-hub.example' },
  ]);
});

test('a name that is an address needs no line', (t) => {
  for (const name of ['10.0.0.1:5000', '[fd00::1]']) {
    t.deepEqual(linesOf({ ...whole, SHADOW_FQDN: name }), []);
  }
});

test('services mode needs no hosts name and trusts addresses', (t) => {
  const mirror = mirrorOf({
    MIRROR_NAME: 'hub',
    WIRE_HOSTS: 'false',
    CERTIFICATE_NAMES: '10.96.0.10, fd00::10,[fd00::10]:443',
  });
  t.deepEqual(mirror.hostsNames, []);
  t.deepEqual(mirror.certificateNames, ['10.96.0.10', 'fd00::10', '[fd00::10]:443']);
});

test('a restore needs no address; --mode wins over the environment', (t) => {
  const { agent } = readNodeAgentEnvironment({ MIRROR_NAME: 'hub', NODE_AGENT_MODE: 'wire' }, 'restore');
  t.is(agent.mode, 'restore');
  t.deepEqual(agent.mirrors().mirrors[0]?.hostsNames, []);
});

test('an empty value counts as unset', (t) => {
  t.is(readNodeAgentEnvironment({ ...whole, HOSTS_FILE: '' }).agent.hostsFile, '/etc/hosts');
});

test('every fault is listed at once with what was expected', (t) => {
  const problems = problemsOf({
    MIRROR_NAME: 'Not_A_Name',
    SHADOW_FQDN: 'a b',
    MIRROR_ADDRESSES: 'None',
    CERTIFICATE_NAMES: '../../etc,ok:99999',
    HOSTS_FILE: '../hosts',
    SECONDS_BETWEEN_STREAMS: 'soon',
    NODE_AGENT_MODE: 'undo',
    WIRE_HOSTS: 'true',
    LOG_LEVEL: 'LOUD',
  });
  const names = problems.map((line) => line.split(':')[0]);
  t.deepEqual([...new Set(names)].sort(), [
    'CERTIFICATE_NAMES',
    'HOSTS_FILE',
    'LOG_LEVEL',
    'MIRROR_ADDRESSES',
    'MIRROR_NAME',
    'NODE_AGENT_MODE',
    'SECONDS_BETWEEN_STREAMS',
    'SHADOW_FQDN',
  ]);
});

for (const name of ['.', '..', 'a/b', 'x\ny', 'a b', '#', '[::1', 'host:0']) {
  test(`the certificate name ${JSON.stringify(name)} is refused`, (t) => {
    t.regex(problemsOf({ ...whole, CERTIFICATE_NAMES: name }).join(), /^CERTIFICATE_NAMES: expected/);
  });
}

for (const name of ['x\ty', 'x\n10.0.0.1 y', '#', 'a,#b']) {
  test(`the hosts name ${JSON.stringify(name)} is refused`, (t) => {
    t.regex(problemsOf({ ...whole, SHADOW_FQDN: name }).join(), /SHADOW_FQDN: expected/);
  });
}
