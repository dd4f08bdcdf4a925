/** Which pods' images mirrors leave alone. Pure. */
import type { Bypass } from './settle.ts';

/** The priority of what a node needs to come up, networks among it. */
export const nodeCriticalPriority = 'system-node-critical';
/** What nodes and their selectors call the operating system. */
export const osLabel = 'kubernetes.io/os';

/** What is looked at of a pod's spec, as it was sent. */
export interface BypassSpec {
  readonly imagePullSecrets?: unknown;
  readonly priorityClassName?: unknown;
  readonly os?: unknown;
  readonly nodeSelector?: unknown;
}

/** The reason, or undefined. */
export function bypassOf({
  imagePullSecrets,
  priorityClassName,
  os,
  nodeSelector,
}: BypassSpec): Bypass | undefined {
  if (Array.isArray(imagePullSecrets) && imagePullSecrets.length > 0) return 'pullSecrets';
  if (priorityClassName === nodeCriticalPriority) return 'nodeCritical';
  return isWindows(os, 'name') || isWindows(nodeSelector, osLabel) ? 'windows' : undefined;
}

function isWindows(value: unknown, key: string): boolean {
  return (value as Record<string, unknown> | null | undefined)?.[key] === 'windows';
}
