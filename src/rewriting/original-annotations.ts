/** Annotations that keep what an image was before it was rewritten: what the webhook and the policy both say of them. */

/** Prefix of keys, before a slash and the container's name. */
export const originalImageAnnotation = 'original-image.k8s.osp.tech';
/** Prefix of keys, before a slash and the volume's name. */
export const originalVolumeImageAnnotation = 'original-volume-image.k8s.osp.tech';

/** The API server takes 256 KiB of annotations on one object; a quarter is left to others, so that no pod is refused because of us. */
export const mostAnnotationBytes = 192 * 1024;
