import test from 'ava';
import { leaseType } from '../../../src/kube/lease.ts';
import { type FakeApiServer, startFakeApiServer } from '../../support/fake-api-server.ts';
import { type ConformanceServer, conformance, gadgetType } from '../../support/kube-conformance.ts';

let fake: FakeApiServer;

test.before(async () => {
  fake = await startFakeApiServer([gadgetType, leaseType]);
});
test.after.always(() => fake.stop());

conformance(
  test,
  (): ConformanceServer => ({
    port: Number(new URL(fake.url).port),
    connection: (port) => ({ ...fake.connection(), url: `http://127.0.0.1:${port}` }),
    async installType() {
      if (fake.state.findType(gadgetType.group, gadgetType.version, gadgetType.plural) === undefined) {
        fake.addType(gadgetType);
      }
    },
    removeType: async () => fake.removeType(gadgetType),
    compact: async () => fake.compact(),
    crash: (gapMs) => fake.restart(gapMs),
  }),
);
