import type { Transform } from 'node:stream';
import type { Scope } from '../../../kernel/ids.js';

/** The part of redaction that a pipeline uses. */
export interface AnswerPlan {
  /** The upstream is then asked for an uncompressed answer. */
  readonly hasBodyRules: boolean;
  /** Throws `redaction_failed` for a body that a rule covers and nobody can read. */
  head(status: number, rawHeaders: readonly string[]): { rawHeaders: string[]; body: Transform | null };
}

export interface AnswerRules {
  planFor(scope: Scope, mode: 'ephemeral' | 'route'): Promise<AnswerPlan>;
}
