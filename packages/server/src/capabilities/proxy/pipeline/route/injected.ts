import type { Scope } from '../../../../kernel/ids.js';
import type { Promisable } from '../../../../kernel/promisable.js';
import { MASK_TEXT, type Secret } from '../../../../kernel/secret.js';
import type { DetokenizedValue } from '../../../redaction/index.js';
import type { RouteSettings } from '../../../routes/index.js';
import type { SecretReference, SecretUse } from '../../../secrets/index.js';
import { createInjection, type Injection } from '../../../templating/index.js';
import type { ProxyCall } from '../../call.js';
import { headerValueRefused } from '../../errors.js';
import { injectBody } from '../../inject-body.js';
import { knownHyphensOf } from '../../request-headers.js';
import { type SecretSource, secretsFor, textOf } from '../detokenize.js';

const injections = new WeakMap<RouteSettings, Injection>();

export function injectionOf(settings: RouteSettings): Injection {
  const known = injections.get(settings);
  if (known) return known;
  const made = createInjection(settings.injectHeaders, settings.injectBody);
  injections.set(settings, made);
  return made;
}

const NO_SECRETS: readonly DetokenizedValue[] = [];

/** One value an occurrence, each secret read once; 400 and 403 of those that cannot be had (dataplane §2.2). */
export function routeSecrets(
  source: Pick<SecretSource, 'resolve'>,
  call: ProxyCall,
  scope: Scope,
  references: readonly SecretReference[],
  use: SecretUse,
): Promisable<readonly DetokenizedValue[]> {
  if (references.length === 0) return NO_SECRETS;
  return secretsFor(references, use, (reference) => textOf(call, source.resolve(scope, reference, use)));
}

/** The caller did not name them, and is not told their names. */
export function unnamed(values: readonly DetokenizedValue[]): DetokenizedValue[] {
  return [...new Set(values)].map(({ value, isGuarded }) => ({ value, token: MASK_TEXT, isGuarded }));
}

/** In the place of what the client sent under the same name, whatever its case. */
export function injectHeaders(
  call: ProxyCall,
  injection: Injection,
  values: readonly Secret<string>[],
): void {
  if (injection.headerNames.size === 0) return;
  const { forward } = call.headers;
  const kept: string[] = [];
  for (let i = 0; i < forward.length; i += 2)
    if (!injection.headerNames.has(knownHyphensOf(forward[i]!))) kept.push(forward[i]!, forward[i + 1]!);
  const rendered = injection.renderHeaders(values);
  for (let i = 0; i < rendered.length; i += 2)
    if (/[\r\n\0]/.test(rendered[i + 1]!)) throw headerValueRefused(rendered[i]!);
  kept.push(...rendered);
  call.headers.forward = kept;
}

/** Null where the body is no JSON object: it goes on as it came (dataplane §5.7). */
export function injectInto(
  body: Buffer,
  injection: Injection,
  values: readonly Secret<string>[],
): Buffer | null {
  return injection.renderBody === null ? body : injectBody(body, injection.renderBody(values));
}
