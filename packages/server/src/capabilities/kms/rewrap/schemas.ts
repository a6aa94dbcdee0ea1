import { z } from 'zod';
import { isoTimeOrNull } from '../../../kernel/clock.js';
import { instantText } from '../../../platform/http/pagination.js';
import type { RewrapProgress } from './service.js';

const rows = z.number().int().nonnegative();

export const rewrapResponse = z
  .object({
    lease_id: z.number().int().describe('Of the pass; the `rewrap_lease_id` of a rotation.'),
    target_version: z.number().int().positive().describe('The master key that everything is brought under.'),
    status: z
      .enum(['pending', 'running', 'completed', 'failed'])
      .describe(
        'Pending: not begun, or waiting for the key of a sealed tenant. Failed: over, and some rows did not open; tried again within a day.',
      ),
    rows_total: rows
      .nullable()
      .describe('Stored secrets under former versions; null until they were counted.'),
    rows_done: rows,
    rows_failed: rows,
    started_at: instantText.nullable(),
    finished_at: instantText.nullable(),
    last_error: z.string().nullable(),
  })
  .meta({ id: 'Rewrap' });

export function rewrapWire(progress: RewrapProgress): z.input<typeof rewrapResponse> {
  return {
    lease_id: progress.leaseId,
    target_version: progress.targetVersion,
    status: progress.status,
    rows_total: progress.rowsTotal,
    rows_done: progress.rowsDone,
    rows_failed: progress.rowsFailed,
    started_at: isoTimeOrNull(progress.startedAtMs),
    finished_at: isoTimeOrNull(progress.finishedAtMs),
    last_error: progress.lastError,
  };
}
