import type { Secret } from '../../kernel/secret.js';
import type { Logger } from '../log/logger.js';

export interface Mail {
  /** An address for which `isMailAddress` holds: to any other nothing is sent. */
  readonly to: string;
  readonly subject: string;
  /** Plain text; holds single-use links. */
  readonly text: Secret<string>;
}

export interface Mailer {
  /**
   * Called after the commit, returns at once; sends in the background with bounded queue and tries. Never throws for the
   * recipient's sake.
   */
  send(mail: Mail): void;
  /** What waits is given up; what is under way may end within its time. */
  stop(): Promise<void>;
}

const LOCAL_CHARACTERS_MAX = 64;
const ADDRESS_CHARACTERS_MAX = 254;

/** One address without quotes and comments (RFC 5321 §4.5.3.1): no text for which some reader sees two. */
export function isMailAddress(text: string): boolean {
  const [, local] = /^([^\s@<>()[\]\\,;:"\p{C}]+)@[^\s@<>()[\]\\,;:"\p{C}]+$/u.exec(text) ?? [];
  return local !== undefined && local.length <= LOCAL_CHARACTERS_MAX && text.length <= ADDRESS_CHARACTERS_MAX;
}

/**
 * Where no mail server is configured: the operator hands the link on (auth.md §7). The one place where something secret
 * goes to the log, because the contract asks for it (docs/decisions/0061).
 */
export function createLogMailer(logger: Pick<Logger, 'warn'>): Mailer {
  return {
    send: ({ to, subject, text }) =>
      logger.warn({ to, subject, text: text.reveal() }, 'KNOX_SMTP_URL is not set: a mail was not sent'),
    stop: async () => {},
  };
}
