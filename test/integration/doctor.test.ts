/** `doctor` with real agents, on their node and through a real API server whose kubelet runs the command as a container runtime does. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { startCommand } from '../support/command.ts';
import { startControlPlane } from '../support/control-plane.ts';
import { eventually } from '../support/eventually.ts';
import { addNode, addPod, startKubelet } from '../support/kubelet.ts';
import { makeSandbox } from '../unit/node/sandbox.ts';

/** An agent that has made a pass; returns its status socket. */
async function startAgent(
  t: ExecutionContext,
  node: string,
  changes: Record<string, string> = {},
): Promise<string> {
  const box = makeSandbox();
  t.teardown(box.remove);
  box.put('etc/hosts', '127.0.0.1 localhost\n');
  const socket = join(box.root, '../status.sock');
  const env = {
    HOST_ROOT: box.root,
    NODE_NAME: node,
    MIRROR_NAME: 'hub',
    SHADOW_FQDN: 'mirror-hub.example',
    MIRROR_ADDRESSES: '10.96.0.10',
    CA_FILE: box.caFile,
    READY_FILE: join(box.root, '../ready'),
    FORWARDER_DIR: join(box.root, '../f'),
    STATUS_SOCKET: socket,
    ...changes,
  };
  startCommand(t, ['node-agent'], env);
  await eventually(async () => {
    const { stdout } = await startCommand(t, ['doctor', '--socket', socket]).ended;
    assert.match(stdout, /hub/);
  });
  return socket;
}

test('on a node: what is wired, in words and as JSON; exit code 1 with the reason where something is not in place', async (t) => {
  const socket = await startAgent(t, 'node-1');
  const { stdout, code } = await startCommand(t, ['doctor', '--socket', socket]).ended;
  t.is(code, 0);
  t.regex(stdout, /^node-1: wired to 1 of 1 mirrors/);
  t.regex(stdout, /hosts: wired and live/);
  const json = await startCommand(t, ['doctor', '--json', '--socket', socket]).ended;
  t.like(JSON.parse(json.stdout), { node: 'node-1', mode: 'wire' });

  const bad = await startAgent(t, 'node-2', { CA_FILE: '/nowhere' });
  const told = await startCommand(t, ['doctor', '--socket', bad]).ended;
  t.is(told.code, 1);
  t.regex(told.stdout, /hub: not in place/);
  t.regex(told.stdout, /stops: NoCertificateAuthority/);

  const none = await startCommand(t, ['doctor', '--socket', '/nowhere/status.sock']).ended;
  t.is(none.code, 1);
  t.regex(none.stderr, /^--socket: expected a node agent at \/nowhere\/status.sock/);
});
test('on a node: what answers but is no agent is said', async (t) => {
  for (const answer of ['null', '{}', '{"node":"a","mirrors":[null]}']) {
    const socket = join(mkdtempSync(join(tmpdir(), 'doctor-')), 'status.sock');
    t.teardown(() => rmSync(dirname(socket), { recursive: true }));
    const server = createServer((_request, response) => response.end(answer));
    t.teardown(() => server.close());
    await once(server.listen(socket), 'listening');
    const { code, stderr, stdout } = await startCommand(t, ['doctor', '--socket', socket]).ended;
    t.is(code, 1);
    t.is(stdout, '');
    t.regex(stderr, /^--socket: expected a node agent at .*, got: node report: /);
  }
});

test('--cluster: every node by name, with those that give no or no good answer, and a summary', async (t) => {
  t.timeout(900_000, 'the programs may have to be built first');
  const plane = await startControlPlane();
  t.teardown(() => plane.stop());
  const sockets = new Map([
    ['agent-1', await startAgent(t, 'node-1')],
    ['agent-2', await startAgent(t, 'node-2', { CA_FILE: '/nowhere' })],
  ]);
  const kubelet = await startKubelet(t);
  kubelet.run = (exec) => {
    if (exec.pod === 'agent-4') {
      exec.stdout('{}\n');
      exec.exit(0);
      return;
    }
    const [, ...args] = exec.command;
    const { child, ended } = startCommand(t, [...args, '--socket', sockets.get(exec.pod) ?? '/nowhere']);
    child.stdout.on('data', exec.stdout);
    ended.then(({ code, stderr }) => {
      exec.stderr(stderr);
      exec.exit(Number(code));
    });
  };
  const labels = { app: 'docker-registry', mirror: 'hub', component: 'hostess-certificate' };
  for (const [at, name] of ['agent-1', 'agent-2', 'agent-3', 'agent-4'].entries()) {
    await addNode(plane, `node-${at + 1}`, kubelet);
    await addPod(plane, {
      name,
      node: `node-${at + 1}`,
      labels,
      phase: name === 'agent-3' ? 'Pending' : 'Running',
    });
  }
  const env = { KUBECONFIG: plane.kubeconfigPath };
  const { stdout, stderr, code } = await startCommand(t, ['doctor', '--cluster'], env).ended;
  t.is(code, 1, stderr);
  const heads = stdout.split('\n').filter((line) => /^\S/.test(line));
  t.regex(heads[0] ?? '', /^node-1: wired to 1 of 1 mirrors/);
  t.regex(heads[1] ?? '', /^node-2: wired to 0 of 1 mirrors/);
  t.is(heads[2], 'node-3: agent agent-3 does not answer: its pod is Pending');
  t.regex(heads[3] ?? '', /^node-4: agent agent-4 does not answer: node report: /);
  t.is(heads[4], '1 of 4 agents have everything in place');
  const list = { KUBECONFIG: `/nowhere/config::${plane.kubeconfigPath}` };
  const elsewhere = await startCommand(t, ['doctor', '--cluster', '-n', 'kube-system'], list).ended;
  t.is(elsewhere.code, 1);
  t.regex(elsewhere.stderr, /There is no node agent in namespace kube-system/);
  const none = { KUBECONFIG: '/nowhere/config:/nowhere/other' };
  const unconfigured = await startCommand(t, ['doctor', '--cluster'], none).ended;
  t.is(unconfigured.code, 1);
  t.regex(unconfigured.stderr, /^KUBECONFIG: expected .*\/nowhere\/config:\/nowhere\/other/);
});
