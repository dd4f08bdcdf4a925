import test from 'ava';
import { readLogLevel } from '../../../src/config/log-level.ts';
import { readNodeAgentEnvironment } from '../../../src/config/node-agent-environment.ts';
import { Problems } from '../../../src/config/problems.ts';

const levels = {
  NOTSET: 'trace',
  DEBUG: 'debug',
  INFO: 'info',
  ' INFO ': 'info',
  WARN: 'warn',
  WARNING: 'warn',
  ERROR: 'error',
  CRITICAL: 'error',
  FATAL: 'error',
  silent: 'silent',
  ' ': 'info',
};

for (const [name, level] of Object.entries(levels)) {
  test(`LOG_LEVEL ${JSON.stringify(name)} is ${level} for every program`, (t) => {
    const problems = new Problems();
    t.is(readLogLevel({ LOG_LEVEL: name }, problems), level as never);
    t.deepEqual(problems.lines, []);
    const environment = { MIRROR_NAME: 'm', SHADOW_FQDN: 'm', MIRROR_ADDRESSES: '10.0.0.1', LOG_LEVEL: name };
    t.is(readNodeAgentEnvironment(environment).logLevel, level as never);
  });
}

test('another LOG_LEVEL is told with those there are', (t) => {
  for (const value of ['10', 'loud', 'constructor']) {
    const problems = new Problems();
    readLogLevel({ LOG_LEVEL: value }, problems);
    t.deepEqual(problems.lines, [
      `LOG_LEVEL: expected one of notset, trace, debug, info, warn, warning, error, critical, fatal, silent, got "${value}"`,
    ]);
  }
});
