import { createTransport, type SMTPTransportOptions } from 'nodemailer';
import type { Clock } from '../../kernel/clock.js';
import { isLoopbackHost } from '../../kernel/ip-address.js';
import type { Secret } from '../../kernel/secret.js';
import { trustedAuthorities } from '../egress/trust.js';
import type { Logger } from '../log/logger.js';
import { isMailAddress, type Mail, type Mailer, MailNotSent } from './mail.js';

export interface SmtpOptions {
  /** `smtp://` or `smtps://`, with user and password where the server asks for them. */
  readonly url: Secret<string>;
  /** An address, or a name and an address: `KnoxCall <knox@example.com>`. */
  readonly from: string;
  /** PEM of `KNOX_EXTRA_CA_FILE`. */
  readonly extraCa: string | null;
  readonly clock: Clock;
  readonly logger: Pick<Logger, 'warn' | 'error'>;
}

const AT_ONCE_MAX = 2;
const QUEUED_MAX = 1_000;
/** How long a mail waits after each failed try; after the last it is given up. */
const WAITS_MS = [5_000, 60_000, 300_000];
const CONNECT_MS = 10_000;
const SILENCE_MS = 20_000;
const STOP_MS_MAX = 2_000;

interface Queued {
  readonly mail: Mail;
  readonly failures: number;
}

/**
 * Sends by the operator's own mail server: no call on a tenant's behalf, so past the egress guard. What is under way is
 * in memory alone, because what a mail holds is kept nowhere but as a hash: a link that was lost is asked for again.
 */
export function openSmtpMailer(options: SmtpOptions): Mailer {
  const { clock, logger, from } = options;
  const transport = createTransport(transportOptions(options));
  const endOfStop = new AbortController();
  const queue: Queued[] = [];
  const sending = new Set<Promise<void>>();
  const retries = new Set<() => void>();
  let isStopping = false;

  function enqueue(item: Queued): void {
    if (queue.length + retries.size >= QUEUED_MAX) {
      logger.error({ subject: item.mail.subject }, 'too many mails wait: one was given up');
      return;
    }
    queue.push(item);
    sendNext();
  }

  function sendNext(): void {
    while (sending.size < AT_ONCE_MAX && !isStopping) {
      const item = queue.shift();
      if (!item) return;
      const sent = deliver(item).finally(() => {
        sending.delete(sent);
        sendNext();
      });
      sending.add(sent);
    }
  }

  async function deliver({ mail, failures }: Queued): Promise<void> {
    const { subject } = mail;
    try {
      await handOver(mail);
    } catch (error) {
      if (isStopping) return;
      const waitMs = isFinal(error) ? undefined : WAITS_MS[failures];
      // What the server said may repeat what it was sent; its code says enough.
      const fields = { subject, ...codesOf(error) };
      if (waitMs === undefined) logger.error(fields, 'a mail could not be sent and was given up');
      else {
        logger.warn({ ...fields, retry_in_seconds: waitMs / 1000 }, 'a mail could not be sent');
        const cancel = clock.setTimer(waitMs, () => {
          retries.delete(cancel);
          enqueue({ mail, failures: failures + 1 });
        });
        retries.add(cancel);
      }
    }
  }

  async function handOver({ to, subject, text }: Mail): Promise<void> {
    await transport.sendMail({
      from,
      to: { name: '', address: to },
      envelope: { from: addressOf(from), to: [to] },
      subject,
      text: text.reveal(),
      disableFileAccess: true,
      disableUrlAccess: true,
      signal: endOfStop.signal,
    });
  }

  return {
    async deliver(mail) {
      if (!isMailAddress(mail.to)) throw new MailNotSent('what it goes to is no address');
      try {
        await handOver(mail);
      } catch (error) {
        const codes = Object.values(codesOf(error)).join(' ');
        throw new MailNotSent(`the mail server did not take it${codes && ` (${codes})`}`);
      }
    },

    send(mail) {
      if (isStopping) return;
      if (isMailAddress(mail.to)) enqueue({ mail, failures: 0 });
      else logger.error({ subject: mail.subject }, 'a mail was not sent: what it goes to is no address');
    },

    async stop() {
      isStopping = true;
      const left = queue.splice(0).length + retries.size;
      if (left > 0) logger.warn({ mails: left }, 'mails that were not sent yet are lost by the stop');
      for (const cancel of retries) cancel();
      retries.clear();
      const cancel = clock.setTimer(STOP_MS_MAX, () => endOfStop.abort());
      await Promise.allSettled(sending);
      cancel();
      transport.close();
    },
  };
}

function transportOptions({ url, extraCa }: SmtpOptions): SMTPTransportOptions {
  const { protocol, hostname, port, username, password } = new URL(url.reveal());
  const isTls = protocol === 'smtps:';
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  return {
    host,
    port: port === '' ? (isTls ? 465 : 587) : Number(port),
    secure: isTls,
    // Links that sign somebody in never cross a network in clear; on this machine there is none to cross, and a relay
    // there has no certificate that fits.
    ...(isLoopbackHost(hostname) ? { ignoreTLS: true } : { requireTLS: true }),
    tls: { ca: trustedAuthorities(extraCa), minVersion: 'TLSv1.2' },
    ...(username === ''
      ? {}
      : { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } }),
    connectionTimeout: CONNECT_MS,
    greetingTimeout: CONNECT_MS,
    dnsTimeout: CONNECT_MS,
    socketTimeout: SILENCE_MS,
    allowInternalNetworkInterfaces: true,
  };
}

function addressOf(from: string): string {
  return /<([^<>]+)>$/.exec(from)?.[1] ?? from;
}

/** RFC 5321 §4.2.1: the same mail would be refused again. */
function isFinal(error: unknown): boolean {
  return error instanceof Error && 'permanent' in error && error.permanent === true;
}

function codesOf(error: unknown): { code?: string; response_code?: number; command?: string } {
  if (!(error instanceof Error)) return {};
  return {
    ...('code' in error && typeof error.code === 'string' ? { code: error.code } : {}),
    ...('responseCode' in error && typeof error.responseCode === 'number'
      ? { response_code: error.responseCode }
      : {}),
    ...('command' in error && typeof error.command === 'string'
      ? { command: error.command.slice(0, 20) }
      : {}),
  };
}
