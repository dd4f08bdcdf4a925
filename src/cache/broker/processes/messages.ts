/** What the supervisor and its workers say to each other over the channel between them. Types only. */

/** Goes with a connection of nginx's. */
export interface ConnectionMessage {
  readonly connection: number;
}

export type WorkerMessage =
  /** The worker can take connections. */
  | { readonly ready: true }
  /** The worker is done with a connection, or nginx is. */
  | { readonly closed: number }
  /** From here on, until it is said to be over, a slice is on its way through a connection. */
  | { readonly slice: number; readonly over: boolean };
