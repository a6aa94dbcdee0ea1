import { isoTime } from '../../../kernel/clock.js';
import { quotedName } from '../../../platform/mail/mail.js';
import type { Firing } from '../store.js';
import { conditionWire } from '../wire.js';

/** `data` of the event and of a webhook channel. */
export function firingData(firing: Firing) {
  return {
    firing_id: firing.id,
    alert_id: firing.alertId,
    alert_name: firing.alertName,
    type: firing.type,
    severity: firing.severity,
    condition: conditionWire(firing.condition),
    route_id: firing.routeId,
    environment: firing.environment,
    value: firing.value,
    requests: firing.requests,
    window_from: isoTime(firing.windowFromMs),
    window_to: isoTime(firing.windowToMs),
    triggered_at: isoTime(firing.triggeredAtMs),
    sandbox: firing.scope.sandbox,
  };
}

/** One line: what has happened. */
export function summaryOf({ type, condition, value, requests }: Firing): string {
  const within = `within ${minutes(condition.windowMinutes)}`;
  switch (type) {
    case 'request_failures':
      return `${calls(value)} of ${requests} failed ${within}`;
    case 'high_latency':
      return `p${condition.percentile} is ${value} ms over ${calls(requests)} ${within}, above ${condition.thresholdMs} ms`;
    case 'rate_limit_exceeded':
      return `${calls(value)} rate limited ${within}`;
    case 'unauthorized_client':
      return `${calls(value)} of unauthorized clients ${within}`;
  }
}

const calls = (count: number) => `${count} ${count === 1 ? 'call' : 'calls'}`;
const minutes = (count: number) => (count === 1 ? 'a minute' : `${count} minutes`);

/** Names are whatever somebody called them: in quotes, and no link. */
export function titleOf({ severity, alertName }: Firing): string {
  return `${severity.toUpperCase()} ${quotedName(alertName)}`;
}

export function textOf(firing: Firing, isTest: boolean): string {
  const { routeId, environment, scope } = firing;
  const lines = [
    ...(isTest ? ['This is a test: nothing has happened.', ''] : []),
    `${titleOf(firing)}: ${summaryOf(firing)}.`,
    '',
    `At: ${isoTime(firing.triggeredAtMs)}`,
    `Calls counted: ${isoTime(firing.windowFromMs)} to ${isoTime(firing.windowToMs)}`,
    `Mode: ${scope.sandbox ? 'test' : 'live'}`,
    ...(routeId === null ? [] : [`Route: ${routeId}`]),
    ...(environment === null ? [] : [`Environment: ${quotedName(environment)}`]),
    `Alert: ${firing.alertId}`,
  ];
  return `${lines.join('\n')}\n`;
}

/** https://docs.slack.dev/messaging/formatting-message-text#escaping */
export function slackText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
