import type { TenantModeColumns } from '../../platform/storage/columns.js';
import type { TableSet } from '../../platform/storage/database.js';
import type { Migration } from '../../platform/storage/migration.js';
import { alertsMigration } from './migrations/0066-alerts.js';

/** dataplane.md §10. */
export const ALERT_TYPES = [
  'request_failures',
  'high_latency',
  'rate_limit_exceeded',
  'unauthorized_client',
] as const;
export type AlertType = (typeof ALERT_TYPES)[number];

export const SEVERITIES = ['info', 'warning', 'critical'] as const;
export type Severity = (typeof SEVERITIES)[number];

export const CHANNEL_TYPES = ['email', 'sms', 'slack', 'webhook'] as const;
export type ChannelType = (typeof CHANNEL_TYPES)[number];

/** `failed` = given up. */
export const DELIVERY_STATES = ['waiting', 'delivered', 'failed'] as const;
export type DeliveryState = (typeof DELIVERY_STATES)[number];

export interface AlertRow extends TenantModeColumns {
  id: string;
  name: string;
  description: string | null;
  type: AlertType;
  severity: Severity;
  /** JSON texts: read and written as a whole. */
  condition: string;
  route_id: string | null;
  environment: string | null;
  cooldown_minutes: number;
  channels: string;
  credentials_envelope: Buffer | null;
  enabled: number;
  /** Until when it does not go off again; 0 = it may. */
  quiet_until: number;
  /** Calls before then have gone into a firing. */
  told_to: number;
  trigger_count: number;
  last_triggered_at: number | null;
  created_at: number;
  updated_at: number;
}

/** What it was when it went off, whatever becomes of the alert. */
export interface FiringRow extends TenantModeColumns {
  id: string;
  alert_id: string;
  alert_name: string;
  type: AlertType;
  severity: Severity;
  condition: string;
  route_id: string | null;
  environment: string | null;
  /** Calls, or milliseconds. */
  value: number;
  requests: number;
  window_from: number;
  window_to: number;
  triggered_at: number;
}

export interface DeliveryRow extends TenantModeColumns {
  firing_id: string;
  channel_id: string;
  channel_type: ChannelType;
  state: DeliveryState;
  attempts: number;
  error: string | null;
  ended_at: number | null;
}

export interface AlertTables {
  alerts: AlertRow;
  alert_firings: FiringRow;
  alert_deliveries: DeliveryRow;
}

export const alertTables: TableSet<AlertTables> = {
  alerts: { scope: 'tenant+mode' },
  alert_firings: { scope: 'tenant+mode' },
  alert_deliveries: { scope: 'tenant+mode' },
};

export const migrations: readonly Migration[] = [alertsMigration];
