import { LIMITS } from '../../../../kernel/limits.js';
import type { Caller } from '../../../../kernel/principal.js';
import { isPending } from '../../../../kernel/promisable.js';
import type { Egress } from '../../../../platform/egress/egress.js';
import type { RouteSettings } from '../../../routes/index.js';
import type { ProxyCall } from '../../call.js';
import { bufferBody } from '../body.js';
import { checkSignature, type SignatureDeps } from '../signature.js';
import { isSignatureRefusal } from '../signature-errors.js';
import { startClock } from '../target.js';
import type { RouteExchange } from './exchange.js';

const NOTHING = Buffer.alloc(0);
const NONCE_HEADER = 'x-nonce';

/** Step 7 of dataplane §5.3: the whole body is read for it. */
export async function requireSignature(
  deps: SignatureDeps & { readonly egress: Pick<Egress, 'startClock'> },
  call: ProxyCall,
  { principal: { scope } }: Caller,
  settings: RouteSettings,
  { entry, request: incoming }: RouteExchange,
): Promise<void> {
  const clock = startClock(deps.egress, call, LIMITS.upstreamTimeoutMaxMs);
  const { rawHeaders } = incoming;
  const claimed = {
    method: call.method,
    path: entry.path,
    timestamp: onlyLine(rawHeaders, settings.timestampHeader),
    signature: onlyLine(rawHeaders, settings.signatureHeader),
    nonce: onlyLine(rawHeaders, NONCE_HEADER),
  };
  // Without them nothing is read for it.
  if (call.headers.hasBody && claimed.timestamp !== null && claimed.signature !== null) {
    const read = bufferBody(call, clock, LIMITS.templatedBodyBytesMax);
    call.body = isPending(read) ? await read : read;
  }
  const environment = call.route!.environment;
  const body = call.body ?? NOTHING;
  const request = { ...claimed, body };
  try {
    const signed = { scope, environment, client: call.client, settings, request };
    const { isExpired } = await checkSignature(deps, signed);
    if (isExpired) call.usedExpired = true;
  } catch (error) {
    // What kept it from being judged says nothing of it.
    if (isSignatureRefusal(error)) call.signatureValid = false;
    throw error;
  }
  call.signatureValid = true;
}

/** Null where it does not come, or more than once. */
function onlyLine(rawHeaders: readonly string[], name: string): string | null {
  const lower = name.toLowerCase();
  let found: string | null = null;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]!.toLowerCase() !== lower) continue;
    if (found !== null) return null;
    found = rawHeaders[i + 1]!;
  }
  return found;
}
