/** RFC 1123 subdomain without anchors: what the API server takes as the name of most objects. */
export const subdomain = '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*';
