import { ApiError } from '../kube/errors.ts';

/** For `catch`: names the right that the caller lacks where the API server forbids something. */
export function needing(right: string): (error: unknown) => never {
  return (error) => {
    if (error instanceof ApiError && error.forbidden) error.message += `; this needs the right to ${right}`;
    throw error;
  };
}
