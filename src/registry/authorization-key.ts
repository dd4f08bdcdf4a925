/** What stands for a client's own `Authorization` in keys: work is shared, and answers remembered, by whom they are for. */
import { createHmac, randomBytes } from 'node:crypto';

const secret = randomBytes(32);

/** Returns text that tells one header from another and nothing about it, the empty one for the mirror's own authorization. */
export function authorizationKey(authorization: string | undefined): string {
  return authorization === undefined
    ? ''
    : createHmac('sha256', secret).update(authorization).digest('base64url');
}
