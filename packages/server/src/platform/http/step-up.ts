import type { SessionId, TenantId, UserId } from '../../kernel/ids.js';

/** How lately the user must have proven itself. */
export interface StepUpRule {
  readonly maxAgeSeconds: number;
  /** The destructive acts use the token up. */
  readonly isConsumed?: boolean;
}

/** Whom a step-up token has to be of. */
export interface StepUpHolder {
  readonly userId: UserId;
  readonly sessionId: SessionId;
  readonly tenantId: TenantId | null;
}

/** Implemented by the accounts capability. */
export interface StepUpCheck {
  /** Throws unless `token` is of that holder and young enough; it stays good. */
  check(holder: StepUpHolder, token: string | undefined, rule: StepUpRule): Promise<void>;
  /** Throws where another call has used it up. */
  consume(token: string, rule: StepUpRule): Promise<void>;
}

/** In lower case, as Node has it. */
export const STEP_UP_HEADER = 'x-knoxcall-stepup';
