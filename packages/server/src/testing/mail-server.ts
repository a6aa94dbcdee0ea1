import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import type { TestCa } from './tls-upstream.js';

export interface ReceivedMail {
  readonly from: string;
  readonly to: readonly string[];
  /** As it came: header, blank line, body. */
  readonly raw: string;
  readonly isSecure: boolean;
  readonly user: string | null;
}

/** A real mail server on loopback, with a certificate of the test's CA. */
export interface MailServer {
  readonly port: number;
  readonly mails: readonly ReceivedMail[];
  /** Resolves with the first mail beyond those that were there. */
  next(): Promise<ReceivedMail>;
  close(): Promise<void>;
}

export interface MailServerOptions {
  readonly ca: TestCa;
  readonly smtp?: SMTPServerOptions;
  /** In place of taking the next mail. */
  readonly refuse?: () => { readonly code: number; readonly text: string } | null;
}

export const MAIL_USER = { user: 'knox@relay', password: 'relay p@ss' };

export async function startMailServer({ ca, smtp, refuse }: MailServerOptions): Promise<MailServer> {
  const { certPem, keyPem } = await ca.issue(['mail.test', 'localhost']);
  const mails: ReceivedMail[] = [];
  const waiting: ((mail: ReceivedMail) => void)[] = [];
  const server = new SMTPServer({
    cert: certPem,
    key: keyPem,
    authOptional: true,
    onAuth({ username, password }, _session, answer) {
      const isRight = username === MAIL_USER.user && password === MAIL_USER.password;
      if (isRight) answer(null, { user: username });
      else answer(new Error('wrong user or password'));
    },
    onData(stream, session, answer) {
      const parts: Buffer[] = [];
      stream.on('data', (part: Buffer) => parts.push(part));
      stream.on('end', () => {
        const refusal = refuse?.();
        if (refusal) {
          answer(Object.assign(new Error(refusal.text), { responseCode: refusal.code }));
          return;
        }
        const { mailFrom, rcptTo } = session.envelope;
        const mail = {
          from: mailFrom === false ? '' : mailFrom.address,
          to: rcptTo.map(({ address }) => address),
          raw: Buffer.concat(parts).toString(),
          isSecure: session.secure,
          user: typeof session.user === 'string' ? session.user : null,
        };
        mails.push(mail);
        waiting.shift()?.(mail);
        answer(null);
      });
    },
    ...smtp,
  });
  // A client that hangs up is no failure of the server.
  server.on('error', () => {});
  const listener = server.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  return {
    port: (listener.address() as AddressInfo).port,
    mails,
    next: () => new Promise((resolve) => waiting.push(resolve)),
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
