import { mkdtempSync, rmSync } from 'node:fs';
import fs from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { MaterialFiles } from '../../../src/node/forwarder/material.ts';
import { makeAuthority } from '../../support/certificates.ts';

test('files that could not be read for a moment are read at the next look, although they have not changed', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'material-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const { file: caFile } = await makeAuthority(dir);
  const mirror = { name: 'm', port: 1, addresses: [], serverName: 'm', caFile };
  const files = new MaterialFiles(mirror, () => Date.now() + 60_000);
  const { readFile } = fs;
  const replace = (read: typeof readFile) => {
    fs.readFile = read;
    syncBuiltinESMExports();
  };
  replace((async () => {
    throw new Error('ENFILE: file table overflow');
  }) as unknown as typeof readFile);
  t.true(await files.look());
  t.regex(String(files.current?.fault), /ENFILE/);
  t.false(await files.look());
  replace(readFile);
  t.false(await files.look());
  t.true(await files.look());
  t.truthy(files.current?.secureContext);
});
