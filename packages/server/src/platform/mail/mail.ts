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
  /** One try, over when the mail server has taken it; rejects with `MailNotSent`. Whoever calls keeps it and tries again. */
  deliver(mail: Mail): Promise<void>;
  /** What waits is given up; what is under way may end within its time. */
  stop(): Promise<void>;
}

/** Its message holds codes alone: what the server said may repeat what it was sent. */
export class MailNotSent extends Error {
  override readonly name = 'MailNotSent';
}

const LOCAL_CHARACTERS_MAX = 64;
const ADDRESS_CHARACTERS_MAX = 254;
const NAME_CHARACTERS_MAX = 60;

/** One address without quotes and comments (RFC 5321 §4.5.3.1): no text for which some reader sees two. */
export function isMailAddress(text: string): boolean {
  const [, local] = /^([^\s@<>()[\]\\,;:"\p{C}]+)@[^\s@<>()[\]\\,;:"\p{C}]+$/u.exec(text) ?? [];
  return local !== undefined && local.length <= LOCAL_CHARACTERS_MAX && text.length <= ADDRESS_CHARACTERS_MAX;
}

/**
 * What strangers call something, in the text of a mail that the server sends for them: one short line in quotes, of which
 * no reader makes a link.
 */
export function quotedName(name: string): string {
  const line = name.replace(/[\p{C}\p{Z}]+/gu, ' ').trim();
  const short = [...line].slice(0, NAME_CHARACTERS_MAX).join('');
  return `"${short.replaceAll('"', "'").replace(/[.:/@]+(?=\S)/g, '$& ')}"`;
}

/**
 * Where no mail server is configured: the operator hands the link on (auth.md §7). The one place where something secret
 * goes to the log, because the contract asks for it (docs/decisions/0061).
 */
export function createLogMailer(logger: Pick<Logger, 'warn'>): Mailer {
  const send = ({ to, subject, text }: Mail) =>
    logger.warn({ to, subject, text: text.reveal() }, 'KNOX_SMTP_URL is not set: a mail was not sent');
  return {
    send,
    deliver: async (mail) => send(mail),
    stop: async () => {},
  };
}
