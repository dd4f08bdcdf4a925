import assert from 'node:assert/strict';
import test from 'ava';
import { createAuthority, issueLeaf } from '../../src/cache/tls/authority.ts';
import { eventually } from '../support/eventually.ts';
import { crdFile, type Live, pathsOf, startWorld, type World } from '../support/operator-world.ts';

let world: World;
test.before(async () => {
  world = await startWorld({ withoutCrd: true });
});
test.afterEach.always(async (t) => {
  if (!t.passed) t.log(world.lastWords());
  await world.stopOperators();
});
test.after.always(() => world?.end());

const authority = createAuthority({ commonName: 'cert-manager', days: 90 });
const quick = { SECONDS_BETWEEN_STREAMS: '1' };

/** uid and resourceVersion of every object of a mirror: the same means nothing was rewritten. */
async function versions(name: string): Promise<Record<string, string>> {
  const entries = Object.entries(pathsOf(name)).map(async ([key, path]) => {
    const { uid, resourceVersion } = (await world.get(path)).metadata;
    return [key, `${uid} ${resourceVersion}`] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}

test.serial(
  'Without our CRD the operator says so, waits, and goes on when it comes, goes and comes again',
  async (t) => {
    const operator = world.start(quick);
    await eventually(() => assert.match(operator.log(), /does not serve a type.*waiting/));
    await world.plane.applyCrd(crdFile);
    await world.mirror('late', { upstreamUrl: 'late.example' });
    await world.settled('late');

    await world.delete(
      '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/registrymirrors.k8s.osp.tech',
    );
    // Nobody stands in for the nodes here: the DaemonSet is taken as restored by its status.
    await eventually(
      async () => {
        const set = await world.get(pathsOf('late').daemonSet);
        const status = {
          observedGeneration: set.metadata.generation,
          currentNumberScheduled: 0,
          desiredNumberScheduled: 0,
          numberMisscheduled: 0,
          numberReady: 0,
        };
        await world.patch(`${pathsOf('late').daemonSet}/status`, { status });
        throw new Error('still there');
      },
      { timeout: 3_000 },
    ).catch(() => undefined);
    await eventually(async () => assert.equal(await world.find(pathsOf('late').statefulSet), undefined));
    await eventually(() => assert.equal(operator.log().match(/does not serve a type/g)?.length, 2));
    t.true(operator.running());

    await world.plane.applyCrd(crdFile);
    await world.mirror('again', { upstreamUrl: 'again.example' });
    await world.settled('again');
  },
);

test.serial('An API server that is stopped, killed and loses its history costs no write', async (t) => {
  const operator = world.start(quick);
  await world.mirror('steady', { upstreamUrl: 'steady.example' });
  await world.settled('steady');
  await world.quiet();
  const before = await versions('steady');
  const afterwards = async (what: string) => {
    await world.mirror(`probe-${what}`, { upstreamUrl: `${what}.example` });
    await eventually(() => world.get(pathsOf(`probe-${what}`).daemonSet), { message: what });
    t.deepEqual(await versions('steady'), before, what);
    t.true(operator.running(), what);
  };

  await world.plane.restartApiServer();
  await afterwards('restart');
  await world.plane.restartApiServer({ signal: 'SIGKILL', gapMs: 3_000 });
  await afterwards('gap');
  await world.plane.compactEtcd();
  await afterwards('compacted');
  world.proxy.cut();
  await afterwards('cut');
});

test.serial('Of two replicas one acts; the other takes over within the lease when it dies', async (t) => {
  const first = world.start(quick);
  await eventually(() => assert.match(first.log(), /Became the leader/));
  const second = world.start(quick);
  await eventually(() => assert.match(second.log(), /Started/));
  await world.mirror('shared', { upstreamUrl: 'shared.example' });
  await world.settled('shared');
  await world.quiet();
  t.notRegex(second.log(), /Became the leader|Applied/);
  const before = await versions('shared');

  await first.kill();
  const died = Date.now();
  await world.mirror('taken', { upstreamUrl: 'taken.example' });
  await eventually(() => world.get(pathsOf('taken').daemonSet));
  t.log(`${Date.now() - died} ms until the other replica acted`);
  t.true(Date.now() - died < 20_000);
  t.deepEqual(await versions('shared'), before);
  t.is(await second.stop(), 0);
});

test.serial(
  'Without the right to Leases, events, status and budgets it works as a single replica and says so once',
  async (t) => {
    const rules = [
      { apiGroups: ['k8s.osp.tech'], resources: ['registrymirrors'], verbs: ['get', 'list', 'watch'] },
      { apiGroups: [''], resources: ['services', 'secrets'], verbs: ['*'] },
      { apiGroups: ['apps'], resources: ['statefulsets', 'daemonsets'], verbs: ['*'] },
    ];
    const token = await world.plane.tokenFor({ namespace: 'default', name: 'old-operator' }, rules);
    const operator = world.start(quick, await world.plane.podAccess(token));
    await world.mirror('rights', { upstreamUrl: 'rights.example' });
    await eventually(() => world.get(pathsOf('rights').daemonSet));
    await eventually(() => assert.match(operator.log(), /Not allowed to write the status/));
    await world.mirror('rights-two', { upstreamUrl: 'rights-two.example' });
    await eventually(() => world.get(pathsOf('rights-two').daemonSet));
    t.is(await world.find(pathsOf('rights-two').disruptionBudget), undefined);
    for (const message of [
      /Not allowed to use Leases/g,
      /Not allowed to write the status/g,
      /Not allowed to label/g,
      /Not allowed to limit evictions/g,
    ]) {
      t.is(operator.log().match(message)?.length, 1, String(message));
    }
  },
);

test.serial('Scheme services wires by address and keeps the imageswap map', async (t) => {
  const map = '/api/v1/namespaces/default/configmaps/imageswap-maps';
  world.start({ ...quick, ADDRESSING_SCHEME: 'services' });
  await world.mirror('swap', { upstreamUrl: 'swap.example' });
  const { status } = await world.settled('swap');
  const line = `mirror-swap.example:${status.address}/mirror-swap.example`;
  await eventually(async () => assert.ok((await world.get(map)).data.maps.includes(line)));
  const { env } = (await world.get(pathsOf('swap').daemonSet)).spec.template.spec.containers[0];
  t.is(env.find(({ name }: Live) => name === 'CERTIFICATE_NAMES').value, status.address);
  await world.patch(map, { data: { maps: 'default:\n' } });
  await eventually(async () => assert.ok((await world.get(map)).data.maps.includes(line)), {
    timeout: 2_000,
  });
});

test.serial(
  'Where cert-manager’s Issuer exists, its certificate is asked for and served once it is there',
  async (t) => {
    await world.plane.applyCrd('test/integration/fixtures/cert-manager-crds.yaml');
    await world.plane.apply({
      apiVersion: 'cert-manager.io/v1',
      kind: 'Issuer',
      metadata: { name: 'mirror-operator-issuer', namespace: 'default' },
      spec: { selfSigned: {} },
    } as Live);
    world.start({ ...quick, ADDRESSING_SCHEME: 'services' });
    await world.mirror('issued', { upstreamUrl: 'issued.example' });
    const { status } = await world.settled('issued');
    const path = '/apis/cert-manager.io/v1/namespaces/default/certificates/registry-mirror-issued';
    const certificate = await eventually(() => world.get(path));
    t.like(certificate.spec, { secretName: 'registry-mirror-issued-tls', ipAddresses: [status.address] });
    await world.condition('issued', 'CertificateValid', 'CertificatePending');

    const { certificatePem, keyPem } = await issueLeaf(await authority, {
      names: [status.address],
      days: 90,
    });
    const files = {
      'tls.crt': certificatePem,
      'tls.key': keyPem,
      'ca.crt': (await authority).certificatePem,
    };
    const data = Object.entries(files).map(([key, text]) => [key, Buffer.from(text).toString('base64')]);
    await world.plane.apply({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'registry-mirror-issued-tls', namespace: 'default' },
      data: Object.fromEntries(data),
    } as Live);
    await world.condition('issued', 'CertificateValid', 'Given');
    const config = await world.get(pathsOf('issued').configSecret);
    const conf = Buffer.from(config.data['default.conf'], 'base64').toString();
    t.true(
      conf.indexOf('tls/given.crt') < conf.indexOf('tls/tls.crt'),
      'it is what dialling the address gets',
    );
    const trusted = Buffer.from(config.data['ca.crt'], 'base64').toString();
    t.true(trusted.includes(files['ca.crt'].trim()));
  },
);
