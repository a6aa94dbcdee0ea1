export const DELIVERY_JOB = 'inbound_webhook_deliveries';
