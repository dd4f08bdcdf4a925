/** RFC 1123 subdomain without anchors: what the API server takes as the name of most objects. */
export const subdomain = '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*';

/** `[prefix/]name` without anchors: what the API server takes as the key of a label or a taint, where the prefix has at most 253 characters. */
export const qualifiedName = `(${subdomain}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?`;
