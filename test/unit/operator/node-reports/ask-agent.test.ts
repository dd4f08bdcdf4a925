import { connect } from 'node:tls';
import test, { type ExecutionContext } from 'ava';
import { createAuthority, type KeyPair } from '../../../../src/cache/tls/authority.ts';
import { authorityMark } from '../../../../src/operator/certificates/authority-secret.ts';
import { askAgent } from '../../../../src/operator/node-reports/ask-agent.ts';
import { OperatorIdentity } from '../../../../src/operator/node-reports/operator-identity.ts';
import { type AgentServer, makeOperatorAuthority, startAgentServer } from '../../../support/agent-server.ts';

const { signal } = new AbortController();
const status = { method: 'GET', path: '/status' } as const;

async function contextOf(pair: KeyPair) {
  const authority = { ...pair, previous: [] };
  return (await new OperatorIdentity().prepare(authority, new Date()))(undefined);
}

const endpoint = ({ address, port }: AgentServer, serverName = 'registry-mirror-hub.node') => ({
  address,
  port,
  serverName,
});

async function scene(t: ExecutionContext) {
  const authority = await makeOperatorAuthority();
  return { authority, context: await contextOf(authority), agent: await startAgentServer(t, { authority }) };
}

test('An agent is asked as the operator, and its answer is read', async (t) => {
  const { agent, context } = await scene(t);
  agent.says = 'said';
  t.deepEqual(await askAgent(endpoint(agent), context, status, signal), { status: 200, text: 'said' });
  t.deepEqual(agent.callers, ['registry-mirror-operator.status']);
  const body = { mirror: 'hub', runtime: 'containerd' };
  const restart = { method: 'POST', path: '/restart', body } as const;
  t.is((await askAgent(endpoint(agent), context, restart, signal)).status, 202);
  t.deepEqual(agent.restarts, [body]);
});

test('Who answers under another name, or by another authority, is not believed', async (t) => {
  const { agent, context } = await scene(t);
  await t.throwsAsync(askAgent(endpoint(agent, 'registry-mirror-quay.node'), context, status, signal), {
    code: 'ERR_TLS_CERT_ALTNAME_INVALID',
  });
  const stranger = await startAgentServer(t, { authority: await makeOperatorAuthority() });
  await t.throwsAsync(askAgent(endpoint(stranger), context, status, signal));
  t.deepEqual([...agent.callers, ...stranger.callers], [], 'nothing was asked of them');
});

test('Who answers too late or too much is given up', async (t) => {
  const { agent, context } = await scene(t);
  agent.says = 'x'.repeat(1024 * 1024 + 1);
  await t.throwsAsync(askAgent(endpoint(agent), context, status, signal), {
    message: /at most 1048576 bytes/,
  });
  agent.silent = true;
  const before = performance.now();
  await t.throwsAsync(askAgent(endpoint(agent), context, status, signal));
  t.true(performance.now() - before < 5_000);
});

test('A new certificate is issued when two thirds of its life are over, or the authority changes', async (t) => {
  const { authority, agent } = await scene(t);
  const identity = new OperatorIdentity();
  const at = (hours: number) => new Date(Date.now() + hours * 3_600_000);
  const first = (await identity.prepare({ ...authority, previous: [] }, at(0)))(undefined);
  t.is((await identity.prepare({ ...authority, previous: [] }, at(15)))(undefined), first);
  t.not((await identity.prepare({ ...authority, previous: [] }, at(17)))(undefined), first);
  const renewed = await createAuthority({ commonName: 'renewed', days: 30 });
  const context = await identity.prepare({ ...renewed, previous: [authority.certificatePem] }, at(0));
  await t.throwsAsync(
    askAgent(endpoint(agent), context(undefined), status, signal),
    undefined,
    'not known there',
  );
});

test('After the clock was set back no certificate is shown that is not valid yet', async (t) => {
  const { authority, agent } = await scene(t);
  const identity = new OperatorIdentity();
  const ahead = new Date(Date.now() + 3_600_000);
  await identity.prepare({ ...authority, previous: [] }, ahead);
  const context = await identity.prepare({ ...authority, previous: [] }, new Date());
  t.is((await askAgent(endpoint(agent), context(undefined), status, signal)).status, 200);
});

test('Agents that were started before an authority was renewed are asked by the one before', async (t) => {
  const { authority: former, agent: old } = await scene(t);
  const renewed = await makeOperatorAuthority();
  const young = await startAgentServer(t, { authority: renewed });
  const authority = { ...renewed, previous: [former.certificatePem], former };
  const context = await new OperatorIdentity().prepare(authority, new Date());
  const ask = (agent: AgentServer, mark: string) =>
    askAgent(endpoint(agent), context(mark), status, signal).then((answer) => answer.status);
  t.is(await ask(old, authorityMark(former)), 200);
  t.is(await ask(young, authorityMark(renewed)), 200);
});

test('What the operator shows is for clients alone', async (t) => {
  const context = await contextOf(await makeOperatorAuthority());
  const socket = connect({ port: 1, host: '127.0.0.1', secureContext: context });
  socket.on('error', () => undefined);
  const own = socket.getCertificate() as { subject?: { CN?: string }; ext_key_usage?: string[] };
  socket.destroy();
  t.is(own.subject?.CN, 'registry-mirror-operator.status');
  t.deepEqual(own.ext_key_usage, ['1.3.6.1.5.5.7.3.2']);
});
