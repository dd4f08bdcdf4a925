/**
 * Runs a command in a container through the API server: WebSocket subprotocol `v5.channel.k8s.io`, or v4 where server or
 * runtime is older. Each message is one byte that names the channel, and data.
 */
import { PassThrough, type Readable } from 'node:stream';
import type { CallOptions } from './client.ts';
import { ApiError, ConnectionError, type StatusBody } from './errors.ts';
import type { ObjectKey } from './object.ts';
import { resourcePath } from './resource-type.ts';
import type { OpenWebSocket } from './web-socket.ts';

/** What to run where. */
export interface ExecRequest extends CallOptions {
  readonly pod: ObjectKey & { readonly namespace: string };
  readonly container: string;
  /** Program and arguments; no shell in between. */
  readonly command: readonly string[];
  /** Gives the process a standard input that stays open as long as we are there: its end tells it that we are gone. */
  readonly stdin?: boolean;
}

/** A command that runs. */
export interface ExecProcess {
  /** Standard output as text; errors when the connection is lost, and when more than 1 MiB of it is left unread. */
  readonly stdout: Readable;
  /** The last 16 KiB of standard error so far. */
  stderr(): string;
  /** Resolves with the exit code; rejects with `ApiError` when it could not be run, `ConnectionError` when it was lost sight of. */
  readonly exitCode: Promise<number>;
  /** Ends the connection; a process that watches its standard input ends too. */
  close(): void;
}

/** Opens a WebSocket with the client's credentials; the transport's part of it. */
export type OpenExec = (request: {
  path: string;
  query: ReadonlyArray<readonly [string, string]>;
  protocols: readonly string[];
  signal?: AbortSignal | undefined;
}) => Promise<OpenWebSocket>;

const protocols = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];
const channels = { stdout: 1, stderr: 2, status: 3 } as const;
const longestUnread = 1024 * 1024;
const keptStderr = 16 * 1024;
/** How long a server may take to close once it has told how the command ended. Milliseconds. */
const closeMs = 5_000;
const pods = { group: '', version: 'v1', plural: 'pods', kind: 'Pod', namespaced: true };

/** Resolves when the process was started, or is about to be. Rejects with what the API server said: who may not is told what is missing. */
export async function startExec(open: OpenExec, request: ExecRequest): Promise<ExecProcess> {
  const { pod, container, command, stdin, signal } = request;
  const path = resourcePath(pods, pod, 'exec');
  const flags = { container, stdout: 'true', stderr: 'true', ...(stdin && { stdin: 'true' }) };
  const query = [...Object.entries(flags), ...command.map((part) => ['command', part] as const)];
  const connection = await open({ path, query, protocols, signal }).catch((error: unknown) => {
    throw withMissingRights(error, pod.namespace);
  });
  return new RunningExec(connection, `exec in ${pod.namespace}/${pod.name}`, signal);
}

/** API servers ask for `get` because a WebSocket begins as a GET, since 1.35 for `create` as well. */
function withMissingRights(error: unknown, namespace: string): unknown {
  if (!(error instanceof ApiError) || !error.forbidden) return error;
  const hint = `; to run commands in pods one needs the verbs get and create on pods/exec in namespace ${namespace}`;
  error.message += hint;
  return error;
}

class RunningExec implements ExecProcess {
  readonly stdout = new PassThrough({ highWaterMark: longestUnread, encoding: 'utf8' });
  readonly exitCode: Promise<number>;
  readonly #what: string;
  readonly #connection: OpenWebSocket;
  readonly #end = Promise.withResolvers<number>();
  #stderr = Buffer.alloc(0);
  #status: StatusBody | undefined;
  #failure: Error | undefined;

  constructor(connection: OpenWebSocket, what: string, signal: AbortSignal | undefined) {
    this.#connection = connection;
    this.#what = what;
    this.exitCode = this.#end.promise;
    // Whoever reads only one of the two must not be ended by the other.
    this.exitCode.catch(() => undefined);
    this.stdout.on('error', () => undefined);
    const { socket } = connection;
    const onAbort = () => this.#fail(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    socket.addEventListener('message', ({ data }) => this.#receive(data));
    socket.addEventListener('close', ({ code, reason }) => {
      signal?.removeEventListener('abort', onAbort);
      this.#finish(code, reason);
    });
    if (signal?.aborted) onAbort();
  }

  stderr(): string {
    return this.#stderr.toString();
  }

  close(): void {
    this.#connection.destroy();
  }

  #receive(data: unknown): void {
    if (!(data instanceof ArrayBuffer)) {
      this.#fail(this.#error('expected binary messages, got text'));
      return;
    }
    const message = Buffer.from(data);
    const [channel, body] = [message[0], message.subarray(1)];
    // Servers open a channel with an empty message; further channels are a later protocol's.
    if (body.length === 0) return;
    if (channel === channels.stdout) this.#write(body);
    if (channel === channels.stderr) this.#stderr = Buffer.concat([this.#stderr, body]).subarray(-keptStderr);
    if (channel === channels.status) this.#note(body);
  }

  /** A WebSocket cannot be told to wait: who does not read loses the connection, not the machine its memory. */
  #write(body: Buffer): void {
    const unread = this.stdout.readableLength + this.stdout.writableLength + body.length;
    if (unread <= longestUnread) this.stdout.write(body);
    else this.#fail(this.#error('its output was not read'));
  }

  /** The last word; the server closes then. */
  #note(body: Buffer): void {
    try {
      this.#status = JSON.parse(body.toString()) as StatusBody;
      setTimeout(() => this.close(), closeMs).unref();
    } catch (cause) {
      this.#fail(this.#error('expected a Status, got something else', cause));
    }
  }

  /** Ours to give is the first reason; the close that follows says nothing new. */
  #fail(reason: unknown): void {
    this.#failure ??= reason instanceof Error ? reason : new Error(String(reason));
    this.close();
  }

  #finish(code: number, reason: string): void {
    const outcome = this.#failure ?? this.#outcome(code, reason);
    if (typeof outcome === 'number') {
      this.stdout.end();
      this.#end.resolve(outcome);
    } else {
      this.stdout.destroy(outcome);
      this.#end.reject(outcome);
    }
  }

  #outcome(code: number, reason: string): number | Error {
    const said = reason === '' ? '' : `, ${reason}`;
    if (this.#status === undefined) {
      return this.#error(`the connection ended before the command did (${code}${said})`);
    }
    return exitCodeOf(this.#status) ?? new ApiError(this.#what, this.#status.code ?? 500, this.#status);
  }

  #error(message: string, cause?: unknown): ConnectionError {
    return new ConnectionError(this.#what, message, { cause });
  }
}

/** Returns the exit code a Status of an exec tells; undefined when the command was not run. */
function exitCodeOf(status: StatusBody): number | undefined {
  if (status.status === 'Success') return 0;
  if (status.reason !== 'NonZeroExitCode') return undefined;
  const told = status.details?.causes?.find(({ reason }) => reason === 'ExitCode')?.message;
  return told !== undefined && /^\d{1,3}$/.test(told) ? Number(told) : undefined;
}
