/** The kinds of address by which requests come (docs/adr/0011); nginx tells the broker as `X-Address-Kind`. */

/**
 * `plain`: a client that has no other way; `fallback`: one that goes to the upstream itself on 404 and 503; `peer`: another replica;
 * `local`: the pod or machine itself.
 */
export const addressKinds = ['plain', 'fallback', 'peer', 'local'] as const;
export type AddressKind = (typeof addressKinds)[number];
