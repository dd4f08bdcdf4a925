import test from 'ava';
import { readNodeAgentEnvironment } from '../../../src/config/node-agent-environment.ts';
import { ConfigError } from '../../../src/config/problems.ts';

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

test('the names of mirror-hostess are enough; the rest has defaults', (t) => {
  const { agent, logLevel } = readNodeAgentEnvironment({
    ...whole,
    LOG_LEVEL: 'WARNING',
    SECONDS_BETWEEN_STREAMS: '5',
  });
  t.like(agent, {
    mode: 'wire',
    mirror: 'hub',
    hostRoot: '/host',
    hostsFile: '/etc/hosts',
    hostsBackup: '/etc/hosts.backup',
    lockFile: '/var/lock/mirror-hostess',
    certificateNames: ['mirror-hub.example:5000'],
    foreignLines: 'override',
    interval: 5000,
  });
  t.is(logLevel, 'warn');
});

test('each address gives a line; a port is no part of it', (t) => {
  t.deepEqual(readNodeAgentEnvironment(whole).agent.entries, [
    { address: '10.96.0.10', name: 'mirror-hub.example' },
    { address: 'fd00::10', name: 'mirror-hub.example' },
  ]);
});

test('a name that is an address needs no line', (t) => {
  for (const name of ['10.0.0.1:5000', '[fd00::1]']) {
    t.deepEqual(readNodeAgentEnvironment({ ...whole, SHADOW_FQDN: name }).agent.entries, []);
  }
});

test('services mode needs no hosts name and trusts addresses', (t) => {
  const { agent } = readNodeAgentEnvironment({
    MIRROR_NAME: 'hub',
    WIRE_HOSTS: 'false',
    CERTIFICATE_NAMES: '10.96.0.10, fd00::10,[fd00::10]:443',
  });
  t.deepEqual(agent.entries, []);
  t.deepEqual(agent.certificateNames, ['10.96.0.10', 'fd00::10', '[fd00::10]:443']);
});

test('a restore needs no address; --mode wins over the environment', (t) => {
  const { agent } = readNodeAgentEnvironment({ MIRROR_NAME: 'hub', NODE_AGENT_MODE: 'wire' }, 'restore');
  t.is(agent.mode, 'restore');
  t.deepEqual(agent.entries, []);
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
