/** RFC 5280 §5.3.1, with its codes; those that this product gives. */
export const CRL_REASONS = {
  unspecified: 0,
  key_compromise: 1,
  affiliation_changed: 3,
  superseded: 4,
  cessation_of_operation: 5,
  certificate_hold: 6,
  privilege_withdrawn: 9,
} as const;

export type CrlReason = keyof typeof CRL_REASONS;
