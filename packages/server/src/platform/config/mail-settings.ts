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

/** Of an account at Twilio. */
export interface SmsSettings {
  readonly accountSid: string;
  readonly authToken: Secret<string>;
  /** A number, or a messaging service. */
  readonly from: string;
}

const SMS_NAMES = ['KNOX_TWILIO_ACCOUNT_SID', 'KNOX_TWILIO_AUTH_TOKEN', 'KNOX_TWILIO_FROM'] as const;

export function smsOf(values: Environment): SmsSettings | null {
  const [accountSid, authToken, from] = [
    values.KNOX_TWILIO_ACCOUNT_SID,
    values.KNOX_TWILIO_AUTH_TOKEN,
    values.KNOX_TWILIO_FROM,
  ];
  return accountSid && authToken && from ? { accountSid, authToken, from } : null;
}

/** All or none. */
export function smsProblems(values: Environment, found: readonly ConfigProblem[]): ConfigProblem[] {
  if (found.some(({ variable }) => SMS_NAMES.some((name) => name === variable))) return [];
  const missing = SMS_NAMES.filter((name) => values[name] === undefined);
  const given = SMS_NAMES.filter((name) => values[name] !== undefined);
  if (given.length === 0) return [];
  return missing.map((variable) => ({ variable, rule: `is needed beside ${given.join(' and ')}` }));
}
