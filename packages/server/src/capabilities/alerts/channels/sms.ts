import type { Secret } from '../../../kernel/secret.js';
import { createHostList } from '../../../platform/egress/name-policy.js';
import type { StatusCall } from '../../../platform/egress/status-calls.js';

export interface Sms {
  /** Null where the provider has taken it, else why not. */
  send(to: string, text: string, signal?: AbortSignal): Promise<string | null>;
}

export interface TwilioAccount {
  readonly accountSid: string;
  readonly authToken: Secret<string>;
  /** A number, or a messaging service. */
  readonly from: string;
}

export const TWILIO_ORIGIN = 'https://api.twilio.com';
const TEXT_CHARACTERS_MAX = 320;
const SEND_MS = 8_000;

/** The operator's account, so past the tenant's allowlist; https://www.twilio.com/docs/messaging/api/message-resource */
export function createTwilio(deps: {
  readonly account: TwilioAccount;
  readonly statusCall: StatusCall;
  readonly origin: string;
}): Sms {
  const { account, statusCall, origin } = deps;
  const { accountSid, from } = account;
  // Of no tenant: no entry of KNOX_ALLOW_PRIVATE_UPSTREAMS that names one opens for it.
  const policy = { tenantSlug: '', allowedHosts: createHostList([]) };

  return {
    async send(to, text, signal) {
      const form = new URLSearchParams({
        To: to,
        [from.startsWith('MG') ? 'MessagingServiceSid' : 'From']: from,
        Body: [...text].slice(0, TEXT_CHARACTERS_MAX).join(''),
      });
      const login = Buffer.from(`${accountSid}:${account.authToken.reveal()}`, 'utf8').toString('base64');
      const { status } = await statusCall(
        {
          method: 'POST',
          url: `${origin}/2010-04-01/Accounts/${accountSid}/Messages.json`,
          headers: ['Content-Type', 'application/x-www-form-urlencoded', 'Authorization', `Basic ${login}`],
          body: Buffer.from(form.toString(), 'utf8'),
          timeoutMs: SEND_MS,
        },
        policy,
        signal,
      );
      return status >= 200 && status < 300 ? null : `The SMS provider answered ${status}`;
    },
  };
}
