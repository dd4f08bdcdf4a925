import { once } from 'node:events';
import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { forwarderPaths } from '../../../src/node/forwarder/config.ts';
import { ConnectionTotals } from '../../../src/node/forwarder/connection-counts.ts';
import { isFree } from '../../../src/node/forwarder/free-port.ts';
import { MaterialFiles } from '../../../src/node/forwarder/material.ts';
import { findingsOf, type Refusals, writable } from '../../../src/node/forwarder/refusals.ts';
import { makeAuthority, makeLeaf } from '../../support/certificates.ts';

test('connections and bytes are added up by mirror, and what did not reach it apart', (t) => {
  const totals = new ConnectionTotals();
  for (const line of ['a\t200\t10\t1', 'b\t200\t5\t5', 'a\t200\t20\t2', 'a\t502\t0\t3', '-\t200\t1', 'x'])
    totals.add(line);
  t.like(totals.of('a'), { connections: 2, failed: 1, bytesToClients: 30, bytesFromClients: 6 });
  totals.keep(['a']);
  t.is(totals.of('b').connections, 0);
  t.is(totals.of('a').connections, 2);
});

test('a port is free until somebody listens on one of its addresses or on all', async (t) => {
  for (const host of ['127.0.0.1', '0.0.0.0']) {
    const server = createServer().listen(0, host);
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    t.false(await isFree(port, ['127.0.0.1']));
    server.close();
    await once(server, 'close');
    t.true(await isFree(port, ['127.0.0.1']));
  }
});

test('of two mirrors with one port the first is taken; one that cannot be written is told of', (t) => {
  const mirror = { name: 'a', port: 1, addresses: ['10.0.0.1:443'], serverName: 'a.example', caFile: '/ca' };
  const refusals: Refusals = new Map();
  const surroundings = { paths: forwarderPaths('/run/f'), module: null, user: null, ipv6: false };
  const mirrors = [mirror, { ...mirror, name: 'b' }, { ...mirror, name: 'c', port: 2, caFile: '/"' }];
  t.deepEqual(writable(mirrors, surroundings, refusals), [mirror]);
  t.deepEqual(
    findingsOf(refusals).map(({ reason, blocks }) => [reason, blocks]),
    [
      ['PortTaken', true],
      ['InvalidMirror', true],
    ],
  );
});

test('files that have rested are as they were until one is written in place, replaced or gone', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'material-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const [first, second] = [await makeAuthority(join(dir, '1')), await makeAuthority(join(dir, '2'))];
  const caFile = join(dir, 'trusted.crt');
  writeFileSync(caFile, first.certificatePem);
  const mirror = { name: 'm', port: 1, addresses: [], serverName: 'm', caFile };
  const files = new MaterialFiles(mirror, () => Date.now() + 60_000);
  const fingerprint = () => files.current?.fingerprint;
  t.true(await files.look());
  const taken = fingerprint();
  for (const change of [
    () => writeFileSync(caFile, second.certificatePem),
    () => {
      writeFileSync(`${caFile}.new`, first.certificatePem);
      renameSync(`${caFile}.new`, caFile);
    },
    () => rmSync(caFile),
    () => symlinkSync(second.file, caFile),
  ]) {
    const before = fingerprint();
    for (let look = 0; look < 3; look += 1) t.false(await files.look());
    change();
    t.false(await files.look());
    t.is(fingerprint(), before);
    t.true(await files.look());
    t.not(fingerprint(), before);
  }
  t.not(fingerprint(), taken);
});

test('files that change count when they are the same at two looks', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'material-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const authority = await makeAuthority(dir);
  const leaf = await makeLeaf(authority, ['node'], 'node');
  const files = new MaterialFiles({
    name: 'm',
    port: 1,
    addresses: [],
    serverName: 'm',
    caFile: authority.file,
    clientCertificate: leaf,
  });
  t.true(await files.look());
  t.truthy(files.current?.secureContext);
  t.false(await files.look());
  const next = await makeLeaf(authority, ['node'], 'next');
  writeFileSync(leaf.certFile, next.certificatePem);
  t.false(await files.look());
  writeFileSync(leaf.keyFile, next.keyPem);
  t.false(await files.look());
  t.true(await files.look());
  t.is(files.current?.fault, undefined);
  for (const [file, content] of [
    [leaf.keyFile, leaf.keyPem],
    [authority.file, 'garbage'],
    [authority.file, ''],
  ] as const) {
    writeFileSync(file, content);
    t.false(await files.look());
    t.true(await files.look());
    t.is(files.current?.secureContext, undefined);
    t.truthy(files.current?.fault);
    t.notRegex(String(files.current?.fault), /PRIVATE/);
  }
});
