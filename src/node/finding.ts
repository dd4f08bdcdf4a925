/** Something about a node that a person should know. Shown in logs and in the ready file; never holds file content. */
export interface Finding {
  /** CamelCase and stable. */
  readonly reason: string;
  /** The path on the host, where there is one. */
  readonly path?: string;
  readonly message: string;
  /** True when a part of the desired state is not in place because of it. */
  readonly blocks: boolean;
}
