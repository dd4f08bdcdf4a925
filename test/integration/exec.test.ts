/** Commands in pods through a real API server, whose kubelet is scripted. */
import { text } from 'node:stream/consumers';
import test, { type ExecutionContext } from 'ava';
import { createClient, type KubeClient } from '../../src/kube/client.ts';
import { loadConnection } from '../../src/kube/connection.ts';
import { ApiError, ConnectionError } from '../../src/kube/errors.ts';
import { type ControlPlane, startControlPlane } from '../support/control-plane.ts';
import { addNode, addPod, startKubelet, type TestKubelet } from '../support/kubelet.ts';

let plane: ControlPlane;

test.before(async (t) => {
  t.timeout(900_000, 'the programs may have to be built first');
  plane = await startControlPlane();
});
test.after.always(() => plane?.stop());

let worlds = 0;

/** A node with a pod on it, and a client of the admin or of somebody else. */
async function world(t: ExecutionContext) {
  const name = `world-${++worlds}`;
  const kubelet = await startKubelet(t);
  await addNode(plane, name, kubelet);
  await addPod(plane, { name, node: name });
  const exec = (client: KubeClient, signal?: AbortSignal) =>
    client.exec({
      pod: { namespace: 'default', name },
      container: 'broker',
      command: ['do', 'a b', '--x=ü'],
      stdin: true,
      signal,
    });
  return { name, kubelet, exec, admin: await clientOf(t, plane.kubeconfigPath) };
}

async function clientOf(t: ExecutionContext, kubeconfigPath: string): Promise<KubeClient> {
  const client = createClient(await loadConnection({ kubeconfigPath }), { userAgent: 'exec-test' });
  t.teardown(() => client.close());
  return client;
}

function script(kubelet: TestKubelet, run: TestKubelet['run']): void {
  kubelet.run = run;
}

for (const protocol of ['v5.channel.k8s.io', 'v4.channel.k8s.io']) {
  test(`a command runs in a container: output, standard error and exit code come back over ${protocol}`, async (t) => {
    const { kubelet, exec, admin, name } = await world(t);
    kubelet.protocols = [protocol];
    const letters = Buffer.from('für\n');
    script(kubelet, (run) => {
      run.stderr('a warning');
      // A character that two messages share.
      run.stdout(letters.subarray(0, 2));
      run.stdout(letters.subarray(2));
      run.stdout('x'.repeat(300_000));
      run.exit(3);
    });
    const process = await exec(admin);
    t.is(await text(process.stdout), `für\n${'x'.repeat(300_000)}`);
    t.is(await process.exitCode, 3);
    t.is(process.stderr(), 'a warning');
    const { pod, container, command, stdin } = kubelet.execs[0]!;
    t.deepEqual(
      { pod, container, command, stdin },
      { pod: name, container: 'broker', command: ['do', 'a b', '--x=ü'], stdin: true },
    );
    t.is(kubelet.execs[0]?.protocol, protocol);
  });
}

test('a success is exit code 0', async (t) => {
  const { kubelet, exec, admin } = await world(t);
  script(kubelet, (run) => run.exit(0));
  t.is(await (await exec(admin)).exitCode, 0);
});

test('a client certificate opens the way as a token does', async (t) => {
  const { kubelet, exec } = await world(t);
  script(kubelet, (run) => run.exit(0));
  const client = await clientOf(t, await plane.kubeconfigFor({ user: 'root', groups: ['system:masters'] }));
  t.is(await (await exec(client)).exitCode, 0);
});

test('who may not run commands is told which verbs on pods/exec are missing', async (t) => {
  const { exec, kubelet } = await world(t);
  const client = await clientOf(t, await plane.kubeconfigFor({ user: 'jane' }));
  const refused = await t.throwsAsync(exec(client), { instanceOf: ApiError });
  t.true(refused.forbidden);
  t.regex(refused.message, /"jane" cannot get resource "pods\/exec"/);
  t.regex(refused.message, /verbs get and create on pods\/exec in namespace default/);
  t.is(kubelet.execs.length, 0);
});

test('since 1.35 get alone does not do', async (t) => {
  const { exec } = await world(t);
  await plane.grant({ kind: 'User', name: 'getter' }, [
    { apiGroups: [''], resources: ['pods/exec'], verbs: ['get'] },
  ]);
  const client = await clientOf(t, await plane.kubeconfigFor({ user: 'getter' }));
  const refused = await t.throwsAsync(exec(client), { instanceOf: ApiError });
  t.true(refused.forbidden);
  t.regex(refused.message, /verbs get and create on pods\/exec/);
});

test('a token nobody knows is an ApiError, a pod that is not there another', async (t) => {
  const { exec, admin } = await world(t);
  const stranger = await clientOf(t, await plane.kubeconfigFor({ token: 'wrong' }));
  const unknown = await t.throwsAsync(exec(stranger), { instanceOf: ApiError });
  t.true(unknown.unauthorized);
  const missing = await t.throwsAsync(
    admin.exec({ pod: { namespace: 'default', name: 'none' }, container: 'broker', command: ['x'] }),
    { instanceOf: ApiError },
  );
  t.true(missing.notFound);
});

test('a command that the runtime cannot start is an ApiError with its words', async (t) => {
  const { kubelet, exec, admin } = await world(t);
  const message = 'exec: "do": executable file not found in $PATH';
  script(kubelet, (run) => run.status({ status: 'Failure', reason: 'InternalError', message, code: 500 }));
  const failed = await t.throwsAsync((await exec(admin)).exitCode, { instanceOf: ApiError });
  t.true(failed.message.endsWith(message), failed.message);
});

test('a connection that is lost is no exit code', async (t) => {
  const { kubelet, exec, admin } = await world(t);
  script(kubelet, (run) => {
    run.stdout('half a li');
    run.cut();
  });
  const process = await exec(admin);
  await t.throwsAsync(process.exitCode, {
    instanceOf: ConnectionError,
    message: /ended before the command did/,
  });
  await t.throwsAsync(text(process.stdout), { instanceOf: ConnectionError });
});

test('an abort ends the connection, so that the process in the pod sees the end of its input', async (t) => {
  const { kubelet, exec, admin } = await world(t);
  const stop = new AbortController();
  const process = await exec(admin, stop.signal);
  const [run] = kubelet.execs;
  stop.abort(new Error('enough'));
  await t.throwsAsync(process.exitCode, { message: 'enough' });
  await run?.gone;
  t.pass();
});

test('output that nobody reads ends the command instead of filling the memory', async (t) => {
  const { kubelet, exec, admin } = await world(t);
  script(kubelet, (run) => {
    for (let count = 0; count < 40; count++) run.stdout(Buffer.alloc(64 * 1024));
  });
  const process = await exec(admin);
  await t.throwsAsync(process.exitCode, { instanceOf: ConnectionError, message: /not read/ });
  await kubelet.execs[0]?.gone;
});

test('a kubelet that cannot be reached is said within the time of a connection', async (t) => {
  const { name, exec, admin } = await world(t);
  await addNode(plane, name, { port: 1 });
  const failed = await t.throwsAsync(exec(admin), { instanceOf: ApiError });
  t.regex(failed.message, /refused|dial/);
});
