/** Logging: one JSON line per event on standard error. Everything passes `redact` before it is written. */
import pino from 'pino';
import { errorMessage } from './error-message.ts';
import { redact, redactValue } from './redact.ts';

export { errorMessage } from './error-message.ts';

/** What every part of the program is given to log with. */
export type Logger = pino.Logger;

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent';

const waitingBytes = 2 ** 20;

/** Makes the process's logger; `level` defaults to info. Writes to `destination` (standard error by default). */
export function createLogger(
  options: { level?: LogLevel; destination?: pino.DestinationStream } = {},
): Logger {
  const destination = options.destination ?? standardError();
  return pino(
    {
      level: options.level ?? 'info',
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: redactFields },
    },
    destination,
  );
}

/** A full disk, or a terminal that is gone, must not end who has something to say of it: lines wait, as many as there is room for, until one can be written. */
function standardError(): pino.DestinationStream {
  const destination = pino.destination({ dest: 2, sync: true, maxLength: waitingBytes });
  destination.on('error', () => {});
  return destination;
}

function redactFields(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [
      key,
      value instanceof Error ? describeError(value) : redactValue({ [key]: value })[key],
    ]),
  );
}

function describeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: errorMessage(error) };
  return { type: error.name, message: errorMessage(error), stack: redact(error.stack ?? '') };
}
