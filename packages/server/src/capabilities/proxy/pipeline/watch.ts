import type { Clock } from '../../../kernel/clock.js';
import type { Caller } from '../../../kernel/principal.js';
import { isPending, type Promisable } from '../../../kernel/promisable.js';
import type { CallEvents, CallInterest } from '../../webhooks/index.js';
import type { ProxyCall } from '../call.js';
import { CallWatch } from '../call-watch.js';
import type { CallLog } from './log.js';

export interface WatchDeps {
  readonly clock: Clock;
  readonly apiLogs: Pick<CallLog, 'queuedRows'>;
  readonly callEvents: CallEvents;
}

/** Where a webhook wants to know of the call, what it is told is collected on the way. */
export function watchCall(
  { clock, apiLogs, callEvents }: WatchDeps,
  call: ProxyCall,
  { principal: { scope } }: Caller,
): Promisable<void> {
  const watch = (interest: CallInterest | null): void => {
    if (interest === null) return;
    const { response } = call.exchange;
    const { forward } = call.headers;
    call.watch = new CallWatch(interest, callEvents, clock, response, forward, apiLogs.queuedRows());
  };
  const asked = callEvents.interestIn(scope);
  return isPending(asked) ? asked.then(watch) : watch(asked);
}
