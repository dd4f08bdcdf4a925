import test from 'ava';
import {
  masqueradeConflict,
  masqueradeHost,
  masqueradePort,
  serviceConflict,
  serviceRivals,
} from '../../../../src/operator/registry-mirror/obstacles.ts';
import { mirrorOf, settingsOf } from '../../resources/fixtures.ts';

const mirror = (name: string, creationTimestamp: string) =>
  mirrorOf({ upstreamUrl: 'gcr.io', masqueradeUrl: 'm.example' }, { name, creationTimestamp });

test('The older of two mirrors with one name wins, of the same age the first by name', (t) => {
  const [old, young, same] = [
    mirror('b', '2026-01-01T00:00:00Z'),
    mirror('a', '2026-01-02T00:00:00Z'),
    mirror('c', '2026-01-01T00:00:00Z'),
  ];
  const all = [old, young, same];
  t.is(masqueradeConflict(old, all), undefined);
  t.regex(masqueradeConflict(young, all)?.message ?? '', /RegistryMirror b/);
  t.is(masqueradeConflict(same, all)?.reason, 'MasqueradeConflict');
});

test('A mirror may not take the headless Service of an older one, nor the other way round', (t) => {
  t.deepEqual(serviceRivals('x'), ['x-headless']);
  t.deepEqual(serviceRivals('x-headless'), ['x-headless-headless', 'x']);
  const old = mirror('x', '2026-01-01T00:00:00Z');
  const young = mirror('x-headless', '2026-01-02T00:00:00Z');
  t.is(serviceConflict(old, [young]), undefined);
  t.regex(serviceConflict(young, [old])?.message ?? '', /RegistryMirror x,/);
});

test('Names are compared without port; objects that cannot be read have none', (t) => {
  const host = (spec: Record<string, unknown>) => masqueradeHost({ metadata: { name: 'x' }, spec });
  t.is(host({ upstreamUrl: 'gcr.io', masqueradeUrl: 'm.example:5000' }), 'm.example');
  t.is(host({ upstreamUrl: 'https://gcr.io:5000/team' }), 'mirror-gcr.io');
  t.is(host({ upstreamUrl: 7 }), undefined);
  t.is(masqueradeHost({ metadata: { name: 'x' } }), undefined);
});

test('A port in the name is refused in scheme services only', (t) => {
  const ported = mirrorOf({ upstreamUrl: 'gcr.io', masqueradeUrl: 'm.example:5000' });
  t.is(masqueradePort(ported, settingsOf()), undefined);
  const services = settingsOf({ ADDRESSING_SCHEME: 'services' });
  t.is(masqueradePort(ported, services)?.reason, 'MasqueradePort');
  const byDefault = masqueradePort(mirrorOf({ upstreamUrl: 'gcr.io:5000' }), services);
  t.is(byDefault?.reason, 'MasqueradePort');
  t.regex(
    byDefault?.message ?? '',
    /^The name mirror-gcr.io:5000, .*: set spec.masqueradeUrl to a name without a port/,
  );
  t.is(masqueradePort(mirrorOf({ upstreamUrl: 'gcr.io' }), services), undefined);
});
