import { batchReport, type JobDefinition } from '../../platform/jobs/definition.js';
import type { Sessions } from './sessions/service.js';
import type { StepUpTokens } from './step-up/service.js';

export interface SignInJobsDeps {
  readonly sessions: Pick<Sessions, 'removeEnded'>;
  readonly stepUpTokens: Pick<StepUpTokens, 'removeEnded'>;
}

export function signInJobs({ sessions, stepUpTokens }: SignInJobsDeps): JobDefinition[] {
  return [
    {
      kind: 'sign_in_retention',
      title: 'Removes what is left of ended sessions, step-ups and failed sign-ins',
      schedule: { everyMs: 600_000 },
      batchMax: 500,
      async run({ batchMax }) {
        const { rows, hasMore } = await sessions.removeEnded(batchMax);
        const tokens = await stepUpTokens.removeEnded(batchMax);
        return batchReport(rows + tokens, hasMore || tokens === batchMax);
      },
    },
  ];
}
