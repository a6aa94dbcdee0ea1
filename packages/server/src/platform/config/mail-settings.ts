import type { Secret } from '../../kernel/secret.js';
import type { ConfigProblem, Environment } from './env.js';

export interface MailSettings {
  readonly url: Secret<string>;
  readonly from: string;
}

export function mailOf({ KNOX_SMTP_URL: url, KNOX_MAIL_FROM: from }: Environment): MailSettings | null {
  return url === undefined || from === undefined ? null : { url, from };
}

/** Both or neither: half a setting would print links in the log where somebody believes them sent. */
export function mailProblems(values: Environment, found: readonly ConfigProblem[]): ConfigProblem[] {
  const names = ['KNOX_SMTP_URL', 'KNOX_MAIL_FROM'] as const;
  if (found.some(({ variable }) => names.some((name) => name === variable))) return [];
  const missing = names.filter((name) => values[name] === undefined);
  if (missing.length !== 1) return [];
  const given = names.find((name) => name !== missing[0]);
  return [{ variable: missing[0]!, rule: `is needed beside ${given}` }];
}
