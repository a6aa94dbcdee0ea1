export const EVALUATION_JOB = 'alert_evaluation';
export const RETENTION_JOB = 'alert_retention';
