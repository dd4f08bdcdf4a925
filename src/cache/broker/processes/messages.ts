/** What the supervisor and its workers say to each other over the channel between them. Types only. */

/** Goes with a connection of nginx's. */
export interface ConnectionMessage {
  readonly connection: number;
}

export type WorkerMessage =
  /** The worker can take connections. */
  | { readonly ready: true }
  /** It has this one. */
  | { readonly taken: number };
