import { type Clock, isoTime } from '../../../kernel/clock.js';
import { AppError } from '../../../kernel/errors.js';
import type { TenantId } from '../../../kernel/ids.js';
import type { PlanFeature } from '../../../kernel/plan-tiers.js';
import { Secret } from '../../../kernel/secret.js';
import type { StatusCall } from '../../../platform/egress/status-calls.js';
import { type Mailer, MailNotSent } from '../../../platform/mail/mail.js';
import { webhookSignature } from '../../crypto-keys/index.js';
import type { EgressAllowlist } from '../../egress-allowlist/index.js';
import type { Plans } from '../../plans/index.js';
import type { Alert, Firing } from '../store.js';
import type { ChannelType } from '../tables.js';
import type { Channel, ChannelCredentials } from './channel.js';
import { firingData, slackText, summaryOf, textOf, titleOf } from './message.js';
import type { SealedCredentials } from './sealed.js';
import type { Sms } from './sms.js';

export const FEATURE_OF: Readonly<Record<ChannelType, PlanFeature>> = {
  email: 'mail_alerts',
  sms: 'sms_alerts',
  slack: 'slack_alerts',
  webhook: 'mail_alerts',
};

export interface Notice {
  readonly alert: Alert;
  readonly channel: Channel;
  readonly firing: Firing;
  readonly isTest: boolean;
}

export interface ChannelSender {
  /** One try: null where it has arrived, else what has kept it. */
  send(notice: Notice, signal?: AbortSignal): Promise<string | null>;
}

export interface ChannelSenderDeps {
  readonly clock: Clock;
  readonly mailer: Pick<Mailer, 'deliver'>;
  /** Null where the operator has configured none. */
  readonly sms: Sms | null;
  readonly statusCall: StatusCall;
  readonly sealed: Pick<SealedCredentials, 'open'>;
  readonly egressAllowlist: Pick<EgressAllowlist, 'hostsFor'>;
  readonly plans: Pick<Plans, 'requireFeature'>;
  slugOf(tenantId: TenantId): Promise<string | undefined>;
  /** `KNOX_ALLOW_HTTP_WEBHOOKS`. */
  readonly mayBePlain: boolean;
}

/** Of one try, within what the outbox gives a listener. */
const SEND_MS = 8_000;

export function createChannelSender(deps: ChannelSenderDeps): ChannelSender {
  const { clock, mailer, sms, statusCall, sealed, egressAllowlist, plans, slugOf, mayBePlain } = deps;

  async function credentialsOf({ alert, channel }: Notice): Promise<ChannelCredentials> {
    const all = await sealed.open(alert.scope, alert.id, alert.credentialsEnvelope);
    return all.reveal()[channel.id]!;
  }

  async function post(
    { scope }: Alert,
    url: string,
    body: string,
    headers: readonly string[],
    signal?: AbortSignal,
  ): Promise<string | null> {
    const tenantSlug = await slugOf(scope.tenantId);
    if (tenantSlug === undefined) return 'The tenant is being removed';
    const request = {
      method: 'POST',
      url,
      headers: ['Content-Type', 'application/json', 'User-Agent', 'KnoxCall-Alerts/1', ...headers],
      body: Buffer.from(body, 'utf8'),
      timeoutMs: SEND_MS,
    };
    const policy = { tenantSlug, allowedHosts: await egressAllowlist.hostsFor(scope), mayBePlain };
    const { status } = await statusCall(request, policy, signal);
    return status >= 200 && status < 300 ? null : `The receiver answered ${status}`;
  }

  async function toWebhook(notice: Notice, signal?: AbortSignal): Promise<string | null> {
    const { alert, channel, firing, isTest } = notice;
    const { url, secret } = await credentialsOf(notice);
    const nowMs = clock.nowMs();
    const seconds = Math.floor(nowMs / 1_000);
    const body = JSON.stringify({
      event: 'alert.triggered',
      timestamp: isoTime(nowMs),
      ...(isTest && { test: true }),
      data: firingData(firing),
    });
    const headers = [
      'X-Webhook-Id',
      `${firing.id}.${channel.id}`,
      'X-Webhook-Event',
      'alert.triggered',
      'X-Webhook-Timestamp',
      String(seconds),
      ...(secret === undefined
        ? []
        : [
            'X-Webhook-Signature',
            webhookSignature('legacy', Buffer.from(secret), seconds, Buffer.from(body)),
          ]),
    ];
    return post(alert, url, body, headers, signal);
  }

  async function deliver(notice: Notice, signal?: AbortSignal): Promise<string | null> {
    const { alert, channel, firing, isTest } = notice;
    const title = `${isTest ? 'Test: ' : ''}${titleOf(firing)}`;
    switch (channel.type) {
      case 'email':
        await mailer.deliver({
          to: channel.target,
          subject: `[KnoxCall] ${title}`,
          text: new Secret(textOf(firing, isTest)),
        });
        return null;
      case 'sms':
        return sms === null
          ? 'No SMS provider is configured'
          : sms.send(channel.target, `KnoxCall ${title}: ${summaryOf(firing)}`, signal);
      case 'slack': {
        const { url } = await credentialsOf(notice);
        return post(alert, url, JSON.stringify({ text: slackText(textOf(firing, isTest)) }), [], signal);
      }
      case 'webhook':
        return toWebhook(notice, signal);
    }
  }

  return {
    async send(notice, signal) {
      try {
        await plans.requireFeature(notice.alert.scope.tenantId, FEATURE_OF[notice.channel.type]);
        return await deliver(notice, signal);
      } catch (error) {
        if (error instanceof MailNotSent) return error.message;
        if (error instanceof AppError && error.type !== 'internal_error')
          return `${error.type}: ${error.publicMessage}`;
        throw error;
      }
    },
  };
}
