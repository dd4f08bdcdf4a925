/** `LOG_LEVEL`, the same for every program of ours. */
import type { LogLevel } from '../observe/log.ts';
import { type Environment, text } from './environment.ts';
import type { Problems } from './problems.ts';

/** Ours, and all names of Python's logging, because the originals' manifests carry them. */
const levels: ReadonlyMap<string, LogLevel> = new Map([
  ['notset', 'trace'],
  ['trace', 'trace'],
  ['debug', 'debug'],
  ['info', 'info'],
  ['warn', 'warn'],
  ['warning', 'warn'],
  ['error', 'error'],
  ['critical', 'error'],
  ['fatal', 'error'],
  ['silent', 'silent'],
]);

/** In any case; info when unset. */
export function readLogLevel(env: Environment, problems: Problems): LogLevel {
  const value = text(env, 'LOG_LEVEL') ?? 'info';
  const level = levels.get(value.toLowerCase());
  if (level === undefined) problems.add('LOG_LEVEL', `one of ${[...levels.keys()].join(', ')}`, value);
  return level ?? 'info';
}
