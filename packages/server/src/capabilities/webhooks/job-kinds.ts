export const DELIVERY_JOB = 'webhook_delivery';
export const AUDIT_JOB = 'webhook_audit_feed';
export const CALL_JOB = 'webhook_call_feed';
export const RETENTION_JOB = 'webhook_retention';
