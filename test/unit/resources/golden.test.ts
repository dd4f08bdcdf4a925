/** Every kind of mirror against a file a person has read. `UPDATE_GOLDEN=1` writes them anew. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import type { KubernetesObject } from '../../../src/resources/object.ts';
import { printObjects } from '../../../src/resources/print.ts';
import { allObjects, everyField, everyVariable, mirrorOf, restoreDaemonSet, settingsOf } from './fixtures.ts';

const folder = join(import.meta.dirname, 'golden');
const uid = '11111111-2222-3333-4444-555555555555';

const cases: Record<string, () => KubernetesObject[]> = {
  'hostess-default': () =>
    allObjects({ mirror: mirrorOf({ upstreamUrl: 'docker.io' }, { uid }), settings: settingsOf() }),
  'services-mode': () =>
    allObjects(
      {
        mirror: mirrorOf({ upstreamUrl: 'quay.io' }, { name: 'quay', uid }),
        settings: settingsOf({ ADDRESSING_SCHEME: 'services' }),
      },
      ['10.96.7.1', 'fd00:96::71'],
    ),
  'foreign-hostess': () =>
    allObjects({
      mirror: mirrorOf({ upstreamUrl: 'gcr.io' }, { name: 'gcr', uid }),
      settings: settingsOf({
        HOSTESS_DOCKER_IMAGE: 'ocadotechnology/mirror-hostess',
        HOSTESS_DOCKER_TAG: '1.4.0',
      }),
    }),
  'every-field': () =>
    allObjects({ mirror: mirrorOf(everyField, { uid }), settings: settingsOf(everyVariable) }),
  ephemeral: () => {
    const mirror = mirrorOf({ upstreamUrl: 'quay.io', storage: 'ephemeral', replicas: 1 }, { uid });
    return allObjects({ mirror, settings: settingsOf() });
  },
  restore: () => [
    restoreDaemonSet({ mirror: mirrorOf(everyField, { uid }), settings: settingsOf(everyVariable) }),
  ],
};

for (const [name, objects] of Object.entries(cases)) {
  test(`the objects of ${name} are those of its golden file`, async (t) => {
    const file = join(folder, `${name}.yaml`);
    const printed = printObjects(objects().map((object) => ({ object })));
    if (process.env['UPDATE_GOLDEN']) await writeFile(file, printed);
    t.is(printed, await readFile(file, 'utf8'));
  });
}
