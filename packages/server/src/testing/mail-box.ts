import type { Mail, Mailer } from '../platform/mail/mail.js';

/** What the server would have sent. */
export interface MailBox extends Mailer {
  readonly mails: readonly Mail[];
  /** The newest to that address; throws where there is none. */
  lastTo(address: string): { readonly subject: string; readonly text: string };
}

export function createMailBox(): MailBox {
  const mails: Mail[] = [];
  return {
    mails,
    send: (mail) => void mails.push(mail),
    deliver: async (mail) => void mails.push(mail),
    stop: async () => {},
    lastTo(address) {
      const mail = mails.findLast(({ to }) => to === address);
      if (!mail) throw new Error(`no mail to ${address}`);
      return { subject: mail.subject, text: mail.text.reveal() };
    },
  };
}
