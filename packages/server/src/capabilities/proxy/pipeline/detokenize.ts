import type { Caller } from '../../../kernel/principal.js';
import { isPending, type Promisable } from '../../../kernel/promisable.js';
import { MASK_TEXT, Secret } from '../../../kernel/secret.js';
import type { PortableCipher } from '../../crypto-keys/index.js';
import type { DetokenizedValue } from '../../redaction/index.js';
import type { ResolvedSecret, SecretReference, Secrets, SecretUse } from '../../secrets/index.js';
import { type CallTemplate, type PortableValues, referenceOf } from '../../templating/index.js';
import type { TokenReference, ValueForProxy, Vaults } from '../../vaults/index.js';
import type { ProxyCall } from '../call.js';

export type TokenSource = Pick<Vaults, 'vaultNames' | 'detokenizeForProxy' | 'checkForProxy'>;

export type SecretSource = Pick<Secrets, 'resolve' | 'check'>;

export interface CallValues {
  readonly tokens: readonly DetokenizedValue[];
  /** One an occurrence. */
  readonly secrets: readonly DetokenizedValue[];
  readonly portables: PortableValues;
}

export const NO_VALUES: CallValues = { tokens: [], secrets: [], portables: { sealed: [], opened: [] } };

const MASK = new Secret(MASK_TEXT);
const MASK_AS_JSON = new Secret(JSON.stringify(MASK_TEXT));

export interface ValueSources {
  readonly vaults: TokenSource;
  readonly secrets: SecretSource;
  readonly portable: PortableCipher;
}

/** Those that the answer must not bring back: of each occurrence of a token, of each secret once. */
export function guardedValues({ tokens, secrets }: CallValues): readonly DetokenizedValue[] {
  return secrets.length === 0 ? tokens : [...tokens, ...new Set(secrets)];
}

/** Permission per vault, one audit row an occurrence, all or nothing (dataplane §1.3 step 5). */
export async function detokenize(
  { vaults, secrets: source, portable }: ValueSources,
  call: Pick<ProxyCall, 'usedExpired'>,
  caller: Caller,
  host: string,
  template: CallTemplate,
): Promise<CallValues> {
  const { operands, seals, opens } = template;
  const { scope } = caller.principal;
  // First, so that no token is read out for a caller who may not open the rest.
  const opened = opens.length === 0 ? [] : await portable.openForProxy(caller, opens);
  const secrets = await secretsFor(template.secrets, ephemeralUse(host), (reference, use) =>
    textOf(call, source.resolve(scope, reference, use)),
  );
  const tokens = await valuesFor(vaults, caller, operands, (references) =>
    vaults.detokenizeForProxy(caller, references),
  );
  const sealed = seals.length === 0 ? [] : await portable.sealForProxy(caller, seals);
  return { tokens, secrets, portables: { sealed, opened } };
}

/** The value, and a note of it on the call's row where it has expired. */
export function textOf(
  call: Pick<ProxyCall, 'usedExpired'>,
  resolved: Promisable<ResolvedSecret>,
): Promisable<Secret<string>> {
  const take = ({ value, isExpired }: ResolvedSecret): Secret<string> => {
    if (isExpired) call.usedExpired = true;
    return value;
  };
  return isPending(resolved) ? resolved.then(take) : take(resolved);
}

function ephemeralUse(host: string): SecretUse {
  return { via: 'ephemeral', environment: null, host, isPlain: false };
}

/** Each secret once, in order of appearance; what stands for it in an answer is the caller's own placeholder. */
export function secretsFor(
  references: readonly SecretReference[],
  use: SecretUse,
  read: (reference: SecretReference, use: SecretUse) => Promisable<Secret<string>>,
): Promisable<DetokenizedValue[]> {
  const known = new Map<string, DetokenizedValue>();
  const values: DetokenizedValue[] = [];
  const keep = (token: string, value: Secret<string>): void => {
    const kept = { value, token, isGuarded: true };
    known.set(token, kept);
    values.push(kept);
  };
  function goOn(): Promisable<DetokenizedValue[]> {
    while (values.length < references.length) {
      const reference = references[values.length]!;
      const token = `{{${reference.by === 'id' ? 'secret_id' : 'secret'}:${reference.text}}}`;
      const value = known.get(token);
      if (value) {
        values.push(value);
        continue;
      }
      const text = read(reference, use);
      if (isPending(text)) {
        return text.then((late) => {
          keep(token, late);
          return goOn();
        });
      }
      keep(token, text);
    }
    return values;
  }
  return goOn();
}

/** A value for each operand, under the token that it names. */
async function valuesFor(
  vaults: TokenSource,
  caller: Caller,
  operands: readonly string[],
  read: (references: readonly TokenReference[]) => Promise<readonly ValueForProxy[]>,
): Promise<DetokenizedValue[]> {
  if (operands.length === 0) return [];
  const known = vaults.vaultNames(caller.principal.scope);
  const names = isPending(known) ? await known : known;
  const references = operands.map((operand) => referenceOf(operand, names));
  const values = await read(references);
  return values.map(({ value, isEchoGuarded }, i) => {
    return { value, token: references[i]!.token, isGuarded: isEchoGuarded };
  });
}

/** The same refusals in the same order, and a mask in place of each value: nothing is read, sealed or audited. */
export async function maskValues(
  { vaults, secrets: source, portable }: ValueSources,
  caller: Caller,
  host: string,
  template: CallTemplate,
): Promise<CallValues> {
  const { operands, seals, opens } = template;
  if (opens.length > 0) await portable.checkForProxy(caller, opens);
  const secrets = await secretsFor(template.secrets, ephemeralUse(host), async (reference, use) => {
    await source.check(caller.principal.scope, reference, use);
    return MASK;
  });
  const tokens = await valuesFor(vaults, caller, operands, async (references) => {
    const checked = await vaults.checkForProxy(caller, references);
    return checked.map((one) => ({ ...one, value: MASK }));
  });
  return {
    tokens,
    secrets,
    portables: { sealed: seals.map(() => MASK), opened: opens.map(() => MASK_AS_JSON) },
  };
}
