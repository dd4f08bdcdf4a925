/**
 * The version of MutatingAdmissionPolicy that the control plane of the tests serves: v1, unless POLICY_VERSION says `v1beta1`, for a control plane of
 * Kubernetes 1.34 or 1.35 in the folder KUBEBUILDER_ASSETS.
 */
import type { PolicyVersion } from '../../src/operator/rewriting/policy/policy-object.ts';

export const policyVersion: PolicyVersion = process.env['POLICY_VERSION'] === 'v1beta1' ? 'v1beta1' : 'v1';
