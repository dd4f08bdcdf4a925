/** Whether a private key belongs to a certificate. Pure. */
import { createPrivateKey, X509Certificate } from 'node:crypto';

/** True when `keyPem` is the key of the first certificate of `certificatePem`; throws nothing. */
export function keyMatches(certificatePem: string, keyPem: string): boolean {
  try {
    return new X509Certificate(certificatePem).checkPrivateKey(createPrivateKey(keyPem));
  } catch {
    return false;
  }
}
