import { isAppError, validationError } from '../../kernel/errors.js';
import type { Scope } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Caller } from '../../kernel/principal.js';
import { withoutRootDot } from '../../platform/egress/name-policy.js';
import type { TargetCheck } from '../egress-allowlist/index.js';
import type { SecretReference, Secrets } from '../secrets/index.js';
import type { ActionLeave, ActionTerms } from './actions/leave.js';
import { CONFIG_WIRE_NAMES, type ConfigTerms, type MethodConfig, type RouteConfig } from './config.js';
import { referencesIn } from './placeholders.js';
import { inherited, overrideOf, settingsOf } from './settings.js';

/** What a route sends in an environment with one method; null = with those that have no override. */
interface Sending {
  readonly environment: string;
  readonly method: string | null;
  readonly terms: ConfigTerms;
  readonly override: MethodConfig | null;
  readonly targetBaseUrl: string;
  readonly egressServerId: string | null;
}

/** Whether what is written may be written: asked before the transaction, since names are resolved. */
export interface RouteJudge {
  /** Of what a write lets the route do that it did not do before. Who leads calls elsewhere may do what its `actions` do. */
  check(
    caller: Caller,
    baseEnvironment: string,
    before: readonly RouteConfig[],
    after: readonly RouteConfig[],
    actions: readonly ActionTerms[],
  ): Promise<void>;
}

export interface RouteJudgeDeps {
  readonly targets: Pick<TargetCheck, 'check'>;
  readonly secrets: Pick<Secrets, 'check'>;
  readonly leave: Pick<ActionLeave, 'requireStill'>;
}

export function createRouteJudge({ targets, secrets, leave }: RouteJudgeDeps): RouteJudge {
  async function checkSecret(
    scope: Scope,
    sending: Sending,
    reference: SecretReference,
    field: string,
  ): Promise<void> {
    const { environment, targetBaseUrl } = sending;
    const { hostname, protocol } = new URL(targetBaseUrl);
    const host = withoutRootDot(hostname);
    const isPlain = protocol !== 'https:';
    try {
      await secrets.check(scope, reference, { via: 'route', environment, host, isPlain });
    } catch (error) {
      // It may be renewed, or made under that name, before the route is called: the call says so if not.
      if (isAppError(error, 'secret_expired')) return;
      if (isAppError(error, 'secret_not_found')) {
        if (reference.by === 'name') return;
        throw validationError(field, `names no secret of this mode by the id ${reference.text}`);
      }
      if (isAppError(error, 'validation_error'))
        throw validationError(field, 'names a certificate, which no placeholder can stand for');
      throw error;
    }
  }

  return {
    async check(caller, baseEnvironment, before, after, actions) {
      const { principal } = caller;
      const formerly = sendingsOf(baseEnvironment, before);
      const former = new Set(formerly.flatMap(namesOf));
      const sendings = sendingsOf(baseEnvironment, after);
      for (const sending of sendings) requireComplete(sending);
      if (actions.length > 0 && leadsElsewhere(baseEnvironment, formerly, sendings))
        await leave.requireStill(caller, actions);
      const urls = new Map<string, string>();
      for (const sending of sendings) {
        const { targetBaseUrl } = sending;
        if (!former.has(targetBaseUrl) && !urls.has(targetBaseUrl))
          urls.set(targetBaseUrl, fieldOf(sending, 'targetBaseUrl'));
      }
      for (const [url, field] of urls) await targets.check(principal, url, field);
      for (const sending of sendings) {
        for (const { reference, field } of referencesOf(sending)) {
          const name = nameOf(sending, reference);
          if (former.has(name)) continue;
          former.add(name);
          await checkSecret(principal.scope, sending, reference, field);
        }
      }
    },
  };
}

function sendingsOf(baseEnvironment: string, configs: readonly RouteConfig[]): Sending[] {
  const base = configs.find(({ environment }) => environment === baseEnvironment);
  if (!base) return [];
  return configs.flatMap((own) => {
    const terms = own === base ? own : inherited(base, own);
    const methods = terms.usesMethodConfigs ? Object.keys(terms.methodConfigs ?? {}) : [];
    return [null, ...methods].map((method) => {
      const override = method === null ? null : overrideOf(terms, method);
      const { targetBaseUrl, egressServerId } = settingsOf(terms, override);
      return { environment: own.environment, method, terms, override, targetBaseUrl, egressServerId };
    });
  });
}

/** Whether calls of any method go to another target or by another server; those of a new environment, than in the base. */
function leadsElsewhere(
  baseEnvironment: string,
  before: readonly Sending[],
  after: readonly Sending[],
): boolean {
  const known = new Set(before.map(({ environment }) => environment));
  const methods = new Set([...before, ...after].map(({ method }) => method));
  return [...new Set(after.map(({ environment }) => environment))].some((environment) => {
    const former = known.has(environment) ? environment : baseEnvironment;
    return [...methods].some((method) => wayOf(before, former, method) !== wayOf(after, environment, method));
  });
}

function wayOf(sendings: readonly Sending[], environment: string, method: string | null): string {
  const ofEnvironment = sendings.filter((one) => one.environment === environment);
  const sending =
    ofEnvironment.find((one) => one.method === method) ?? ofEnvironment.find((one) => one.method === null);
  return `${sending?.egressServerId} ${sending?.targetBaseUrl}`;
}

function requireComplete(sending: Sending): void {
  const { terms, override } = sending;
  const { rateLimit, signatureHeader, timestampHeader } = settingsOf(terms, override);
  if (signatureHeader.toLowerCase() === timestampHeader.toLowerCase())
    throw validationError('timestamp_header', 'must be another header than signature_header');
  if (rateLimit !== null && rateLimit.requests === 0)
    throw validationError(
      fieldOf(sending, 'rateLimitRequests', 'rateLimitEnabled'),
      `is due where rate_limit_enabled is true, as in the environment "${sending.environment}"`,
    );
  if (terms.restrictsMethods && (terms.allowedMethods ?? []).length === 0)
    throw validationError(
      CONFIG_WIRE_NAMES.allowedMethods,
      `is due where http_method_restrictions_enabled is true, as in the environment "${sending.environment}"`,
    );
}

function referencesOf(sending: Sending): { readonly reference: SecretReference; readonly field: string }[] {
  const { terms, override } = sending;
  const found = (['injectHeaders', 'injectBody'] as const).flatMap((part) => {
    const value = override?.[part] ?? terms[part];
    const nothing = { injectHeaders: null, injectBody: null };
    const field = fieldOf(sending, part);
    return referencesIn({ ...nothing, [part]: value }).map((reference) => ({ reference, field }));
  });
  if (found.length > LIMITS.secretReferencesMax)
    throw validationError(
      found[0]!.field,
      `must not hold more than ${LIMITS.secretReferencesMax} placeholders`,
    );
  return found;
}

/** Where the value stands that holds for it, or stood if it were there: beside what calls for it. */
function fieldOf({ method, override }: Sending, part: keyof MethodConfig, beside = part): string {
  const name = CONFIG_WIRE_NAMES[part];
  return override !== null && override[beside] !== null ? `method_configs.${method}.${name}` : name;
}

/** Texts that are the same where nothing new is sent. */
function namesOf(sending: Sending): string[] {
  return [sending.targetBaseUrl, ...referencesOf(sending).map(({ reference }) => nameOf(sending, reference))];
}

function nameOf({ environment, targetBaseUrl }: Sending, { by, text }: SecretReference): string {
  const { protocol, hostname } = new URL(targetBaseUrl);
  return `${environment} ${protocol} ${hostname} ${by} ${text}`;
}
