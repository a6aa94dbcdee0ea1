import type { JobDefinition } from '../../platform/jobs/definition.js';
import type { Pki } from './service.js';

export function pkiJobs({ notices }: Pick<Pki, 'notices'>): JobDefinition[] {
  return [
    {
      kind: 'pki_expiry_notices',
      title: 'Tells of roots and certificates that end in 30 days, in 7 and in 1',
      schedule: { everyMs: 600_000 },
      batchMax: 100,
      run: (context) => notices.tell(context),
    },
  ];
}
