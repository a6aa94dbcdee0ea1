import type { Clock } from '../../../kernel/clock.js';
import type { ProxyMode } from '../../../kernel/proxy-mode.js';
import { ClientGone } from '../../../platform/egress/egress.js';
import { type Exchange, ProxyCall } from '../call.js';
import { type CallLog, writeLogRow } from './log.js';

export interface ServeDeps {
  readonly clock: Clock;
  readonly apiLogs: CallLog;
  /** In which a proxy before us hands on its client's certificate; never sent on. */
  readonly certificateHeader: string | null;
}

/** One call from its raw request to its log row. Never rejects: every failure is an answer or a broken stream. */
export async function serveCall(
  { clock, apiLogs, certificateHeader }: ServeDeps,
  exchange: Exchange,
  mode: ProxyMode,
  run: (call: ProxyCall) => Promise<void>,
): Promise<void> {
  const call = new ProxyCall(exchange, clock.nowMs(), clock.monotonicMs(), certificateHeader, mode);
  let failure: unknown = null;
  try {
    await run(call);
  } catch (cause) {
    failure = call.isGone ? new ClientGone() : cause;
    call.caller ??= exchange.refusedCaller();
    if (failure instanceof ClientGone) exchange.response.destroy();
    else exchange.refuse(failure, call.rateLimit, call.block);
  }
  call.clock?.stop();
  writeLogRow(apiLogs, clock, call, failure);
}
