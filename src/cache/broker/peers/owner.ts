/**
 * Which replica fetches an object for all (rendezvous hashing). Pure.
 *
 * Every replica's list holds itself, so the owner's score is at least one's own: along any chain of replicas that pass
 * a question on the score grows, whatever list each of them has. No question comes back to where it was.
 */
import { createHash } from 'node:crypto';

/** Returns the replica with the highest score for `object`; undefined for an empty list. */
export function ownerOf<T extends { readonly name: string }>(
  object: string,
  replicas: readonly T[],
): T | undefined {
  let owner: T | undefined;
  for (const replica of replicas) {
    if (owner === undefined || compareScores(object, replica.name, owner.name) > 0) owner = replica;
  }
  return owner;
}

/** Orders two replicas for one object: by hash, and so that two names are never equal, by name. */
export function compareScores(object: string, one: string, other: string): number {
  const order = Buffer.compare(score(object, one), score(object, other));
  if (order !== 0) return order;
  return one < other ? -1 : one > other ? 1 : 0;
}

function score(object: string, replica: string): Buffer {
  return createHash('sha256')
    .update(JSON.stringify([object, replica]))
    .digest();
}
