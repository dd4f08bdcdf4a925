/** Determining Support (end-1). */
import assert from 'node:assert/strict';
import { askPath, type Check } from './subject.ts';

const section = 'Determining Support (end-1)';

export const baseChecks: readonly Check[] = [
  {
    id: 'base',
    section,
    title: 'GET /v2/ is 200 where nobody has to say who they are',
    async run(subject) {
      assert.equal((await askPath(subject, '/v2/')).status, 200);
    },
  },
  {
    id: 'base-version',
    section: `${section}, Legacy Docker support HTTP headers`,
    title: 'GET /v2/ states the version of the API that docker clients look for',
    async run(subject) {
      const { headers } = await askPath(subject, '/v2/');
      assert.equal(headers['docker-distribution-api-version'], 'registry/2.0');
    },
  },
];
