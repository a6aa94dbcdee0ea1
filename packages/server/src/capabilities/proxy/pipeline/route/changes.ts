import type { Caller } from '../../../../kernel/principal.js';
import { isPending, type Promisable } from '../../../../kernel/promisable.js';
import type { Logger } from '../../../../platform/log/logger.js';
import { type DetokenizedValue, EchoGuard } from '../../../redaction/index.js';
import type { SecretUse } from '../../../secrets/index.js';
import { bodyKind } from '../../../templating/index.js';
import type { ProxyCall } from '../../call.js';
import type { FieldActions } from '../../field-actions/field-actions.js';
import type { StreamedBody } from '../body.js';
import type { SecretSource } from '../detokenize.js';
import type { GuardedTarget } from '../target.js';
import type { CalledSettings } from './admission.js';
import { isRendered, type RouteContent, readContent } from './content.js';
import { injectHeaders, injectInto, injectionOf, routeSecrets, unnamed } from './injected.js';

export interface ChangesDeps {
  readonly secrets: Pick<SecretSource, 'resolve'>;
  readonly fieldActions: FieldActions;
  readonly logger: Pick<Logger, 'warn'>;
}

/**
 * Step 9 of dataplane §5.3 up to what is sent: the client's placeholders, what the route injects, its field actions. All
 * of it is known before the first byte goes out; `null` where there is no body.
 */
export function changedBody(
  deps: ChangesDeps,
  call: ProxyCall,
  caller: Caller,
  guarded: GuardedTarget,
  called: CalledSettings,
): Promisable<Buffer | StreamedBody | null> {
  const injection = injectionOf(called.settings);
  if (called.route.actions.length > 0 || !injection.isEmpty)
    return change(deps, call, caller, guarded, called, null);
  // Most calls of such a route change nothing, and are not made to wait.
  const goOn = (content: RouteContent) => {
    if (content.template !== null) return change(deps, call, caller, guarded, called, content);
    call.watch?.keepRequest(content.body);
    return content.body;
  };
  const read = readContent(call, guarded.clock, called.environment.variables, false);
  return isPending(read) ? read.then(goOn) : goOn(read);
}

async function change(
  deps: ChangesDeps,
  call: ProxyCall,
  caller: Caller,
  { target, clock }: GuardedTarget,
  { route, environment, settings }: CalledSettings,
  known: RouteContent | null,
): Promise<Buffer | StreamedBody | null> {
  const { headers } = call;
  const { scope } = caller.principal;
  const injection = injectionOf(settings);
  const rules = deps.fieldActions.applicable(route.actions, 'request', headers.contentType);
  const injects =
    injection.renderBody !== null &&
    isRendered(call.method) &&
    bodyKind(headers.contentType, headers.contentEncoding) === 'json';
  const read = known ?? readContent(call, clock, environment.variables, injects || rules.length > 0);
  const content = isPending(read) ? await read : read;
  // What is encrypted or tokenized on its way is not told in clear beside it.
  call.watch?.keepRequest(rules.length > 0 ? null : content.body);
  const use: SecretUse = {
    via: 'route',
    environment: environment.name,
    host: target.hostname,
    isPlain: target.url.protocol !== 'https:',
  };
  const ofRoute = routeSecrets(deps.secrets, call, scope, injection.references, use);
  const injected = isPending(ofRoute) ? await ofRoute : ofRoute;
  const named = content.template?.secrets ?? [];
  const ofBody = routeSecrets(deps.secrets, call, scope, named, use);
  const rendered = isPending(ofBody) ? await ofBody : ofBody;
  call.injected = [...injected, ...rendered];
  injectHeaders(call, injection, valuesOf(injected));
  const guarded = [...unnamed(injected), ...new Set(rendered)];
  let body = content.body;
  if (content.template !== null)
    body = content.template.render([], undefined, valuesOf(rendered)).body ?? body;
  if (injects && Buffer.isBuffer(body)) {
    const merged = injectInto(body, injection, valuesOf(injected));
    if (merged === null)
      deps.logger.warn(
        { request_id: call.exchange.requestId, route_id: route.id },
        'the body is no JSON object: nothing was injected',
      );
    else body = merged;
  }
  const stored = guarded.length;
  if (rules.length > 0 && Buffer.isBuffer(body)) {
    const acted = await deps.fieldActions.request(
      caller,
      rules,
      headers.contentType,
      body,
      headers.contentEncoding,
    );
    guarded.push(...acted.values);
    body = acted.body;
  }
  if (guarded.length > 0) call.guard = new EchoGuard(guarded, { recurs: guarded.length === stored });
  return body;
}

function valuesOf(values: readonly DetokenizedValue[]) {
  return values.map(({ value }) => value);
}
