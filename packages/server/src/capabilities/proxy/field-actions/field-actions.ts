import { isAppError } from '../../../kernel/errors.js';
import { JsonText } from '../../../kernel/json-text.js';
import { LIMITS } from '../../../kernel/limits.js';
import type { Caller } from '../../../kernel/principal.js';
import { Secret } from '../../../kernel/secret.js';
import {
  type CryptoKeys,
  type PortableDocuments,
  parsePortable,
  type Transit,
} from '../../crypto-keys/index.js';
import type { DetokenizedValue } from '../../redaction/index.js';
import { bodyKind } from '../../templating/index.js';
import type { Vaults } from '../../vaults/index.js';
import { elementsOf } from './elements.js';
import {
  actionWithout,
  answerNotActedOn,
  answerTooLong,
  decryptionFailed,
  encodedBody,
  loneSurrogate,
} from './errors.js';
import { type Leaf, replacedLeaves, selectedLeaves } from './selected-leaves.js';

/** What is to be known of an action of a route (dataplane.md §5.6). */
export interface FieldActionRule {
  readonly direction: 'request' | 'response';
  readonly action: 'encrypt' | 'decrypt' | 'tokenize' | 'detokenize';
  readonly selectors: readonly string[];
  readonly keyName: string | null;
  readonly dataRole: string | null;
  readonly contentType: string;
}

export interface RequestActedOn {
  readonly body: Buffer;
  /** What tokens and ciphertexts stood for: the answer must not bring it back (dataplane.md §7). */
  readonly values: readonly DetokenizedValue[];
}

/**
 * Encrypts, decrypts, tokenizes and detokenizes what selectors name in a JSON body, action by action in their order; the rest
 * keeps its bytes. An action has the leave of who wrote it: its caller needs `routes:invoke` alone. Audit rows are durable
 * before a value goes on (docs/decisions/0096).
 */
export interface FieldActions {
  /** Those that look into such a body; where there are none it goes on unread. */
  applicable<Rule extends FieldActionRule>(
    rules: readonly Rule[],
    direction: FieldActionRule['direction'],
    contentType: string | null,
  ): readonly Rule[];
  /** Before anything is sent: any refusal refuses the call. */
  request(
    caller: Caller,
    rules: readonly FieldActionRule[],
    contentType: string | null,
    body: Buffer,
    contentEncoding?: string | null,
  ): Promise<RequestActedOn>;
  /** Decoded, before redaction. 502 `redaction_failed` for what cannot be done; nothing of the answer may then go on. */
  response(
    caller: Caller,
    rules: readonly FieldActionRule[],
    contentType: string | null,
    body: Buffer,
  ): Promise<Buffer>;
}

export interface FieldActionsDeps {
  readonly vaults: Pick<Vaults, 'tokenizeForRoute' | 'detokenizeForRoute'>;
  readonly transit: Pick<Transit, 'encryptForRoute' | 'decryptForRoute'>;
  readonly portable: Pick<PortableDocuments, 'encrypt' | 'decrypt'>;
  readonly cryptoKeys: Pick<CryptoKeys, 'getNamed'>;
}

/** What a selected value becomes, as JSON; null: it stays. */
type Replacements = readonly (string | null)[];

const QUOTE = 0x22;
const VERSIONED = /^(?:knoxcall|vault):v[1-9]\d{0,8}:/;

export function createFieldActions(deps: FieldActionsDeps): FieldActions {
  const { vaults, transit, portable, cryptoKeys } = deps;

  async function encrypt(caller: Caller, rule: FieldActionRule, bytes: Buffer, leaves: readonly Leaf[]) {
    const { keyName, dataRole } = rule;
    const key = keyName === null ? null : await cryptoKeys.getNamed(caller.principal.scope, keyName);
    if (keyName !== null && key?.keyType !== 'ecdh-p256') {
      const plaintexts = leaves.map((leaf) => new Secret(Buffer.from(textOf(bytes, leaf))));
      return (await transit.encryptForRoute(caller, keyName, plaintexts)).map(quoted);
    }
    const terms = { ...(keyName !== null && { key: keyName }), role: dataRole ?? '', via: 'route' } as const;
    const sealed = await portable.encrypt(caller, listOf(bytes, leaves), terms);
    return elementsOf(sealed.ciphertext.bytes);
  }

  /** A text of neither form stays; of one of them that does not open nothing goes on. */
  async function decrypt(
    caller: Caller,
    rule: FieldActionRule,
    bytes: Buffer,
    leaves: readonly Leaf[],
    values: DetokenizedValue[],
  ) {
    const replaced: (string | null)[] = leaves.map(() => null);
    const sealed: number[] = [];
    const versioned: { readonly index: number; readonly text: string }[] = [];
    for (const [index, leaf] of leaves.entries()) {
      const text = bytes[leaf.start] === QUOTE ? textOf(bytes, leaf) : '';
      if (VERSIONED.test(text)) versioned.push({ index, text });
      else if (parsePortable(text) !== null) sealed.push(index);
    }
    if (sealed.length > 0) {
      const list = listOf(
        bytes,
        sealed.map((index) => leaves[index]!),
      );
      const opened = await portable.decrypt(caller, list, rule.dataRole ?? '', 'route');
      for (const [at, text] of elementsOf(opened.reveal().bytes).entries()) {
        const index = sealed[at]!;
        replaced[index] = text;
        guardTexts(JSON.parse(text), textOf(bytes, leaves[index]!), values);
      }
    }
    if (versioned.length > 0) {
      if (rule.keyName === null) throw decryptionFailed();
      const opened = await transit.decryptForRoute(
        caller,
        rule.keyName,
        versioned.map(({ text }) => text),
      );
      for (const [at, { plaintext, text }] of opened.entries()) {
        const bytesOpened = plaintext.reveal();
        const shown = text?.reveal() ?? bytesOpened.toString('base64');
        const { index, text: ciphertext } = versioned[at]!;
        replaced[index] = quoted(shown);
        guardTexts(shown, ciphertext, values);
        bytesOpened.fill(0);
      }
    }
    return replaced;
  }

  async function tokenize(caller: Caller, rule: FieldActionRule, bytes: Buffer, leaves: readonly Leaf[]) {
    if (rule.keyName === null) throw actionWithout('vault', null);
    const texts = leaves.map((leaf) => new Secret(textOf(bytes, leaf)));
    const tokens = await vaults.tokenizeForRoute(caller, rule.keyName, texts);
    return tokens.map(({ token }) => quoted(token));
  }

  /** In a request a text that is no token refuses the call, in an answer it stays: it says no more than it did. */
  async function detokenize(
    caller: Caller,
    rule: FieldActionRule,
    bytes: Buffer,
    leaves: readonly Leaf[],
    values: DetokenizedValue[],
  ) {
    const replaced: (string | null)[] = leaves.map(() => null);
    const places = [...leaves.keys()].filter((index) => bytes[leaves[index]!.start] === QUOTE);
    const references = places.map((index) => ({ vault: rule.keyName, token: textOf(bytes, leaves[index]!) }));
    const wanted = rule.direction === 'request' ? 'all' : 'known';
    const found = await vaults.detokenizeForRoute(caller, references, wanted);
    for (const [at, one] of found.entries()) {
      if (one === null) continue;
      const { value, isEchoGuarded: isGuarded } = one;
      values.push({ value, token: references[at]!.token, isGuarded });
      replaced[places[at]!] = quoted(value.reveal());
    }
    return replaced;
  }

  function replacementsOf(
    caller: Caller,
    rule: FieldActionRule,
    bytes: Buffer,
    leaves: readonly Leaf[],
    values: DetokenizedValue[],
  ): Promise<Replacements> {
    switch (rule.action) {
      case 'encrypt':
        return encrypt(caller, rule, bytes, leaves);
      case 'decrypt':
        return decrypt(caller, rule, bytes, leaves, values);
      case 'tokenize':
        return tokenize(caller, rule, bytes, leaves);
      case 'detokenize':
        return detokenize(caller, rule, bytes, leaves, values);
    }
  }

  async function act(
    caller: Caller,
    rules: readonly FieldActionRule[],
    body: Buffer,
  ): Promise<RequestActedOn> {
    const values: DetokenizedValue[] = [];
    let bytes = body;
    for (const rule of rules) {
      const leaves = selectedLeaves(bytes, rule.selectors);
      if (leaves.length === 0) continue;
      try {
        bytes = replacedLeaves(bytes, leaves, await replacementsOf(caller, rule, bytes, leaves, values));
      } catch (error) {
        throw isAppError(error, 'not_found') ? actionWithout(whatOf(rule), rule.keyName) : error;
      }
    }
    return { body: bytes, values };
  }

  const applicable: FieldActions['applicable'] = (rules, direction, contentType) =>
    rules.filter((rule) => rule.direction === direction && isMeant(rule, contentType));

  return {
    applicable,

    async request(caller, rules, contentType, body, contentEncoding = null) {
      const applied = applicable(rules, 'request', contentType);
      if (applied.length === 0 || body.length === 0) return { body, values: [] };
      if (bodyKind(null, contentEncoding) === 'opaque') throw encodedBody();
      return act(caller, applied, body);
    },

    async response(caller, rules, contentType, body) {
      const applied = applicable(rules, 'response', contentType);
      if (applied.length === 0 || body.length === 0) return body;
      if (body.length > LIMITS.redactionBodyBytesMax) throw answerTooLong();
      try {
        return (await act(caller, applied, body)).body;
      } catch (error) {
        // A refusal would be taken for one of the call, which has been made; our own trouble is told as such.
        throw isAppError(error) && error.status < 500 ? answerNotActedOn(error) : error;
      }
    },
  };
}

function whatOf({ action }: FieldActionRule): Parameters<typeof actionWithout>[0] {
  return action === 'encrypt' || action === 'decrypt' ? 'crypto key' : 'vault';
}

/** `application/json` stands for every JSON, and for a body of which nothing is said; another type for itself. */
function isMeant({ contentType: meant }: FieldActionRule, contentType: string | null): boolean {
  const type = essenceOf(contentType ?? '');
  const wanted = essenceOf(meant);
  if (bodyKind(type === '' ? null : type, null) !== 'json') return false;
  return wanted === 'application/json' || wanted === type;
}

function essenceOf(contentType: string): string {
  return contentType.split(';', 1)[0]!.trim().toLowerCase();
}

/** Of a text what it says; of a number its digits as they are written. */
function textOf(bytes: Buffer, { start, end }: Leaf): string {
  const raw = bytes.toString('utf8', start, end);
  if (bytes[start] !== QUOTE) return raw;
  const text = JSON.parse(raw) as string;
  // It has no UTF-8, and would come back as another character.
  if (/\p{Surrogate}/u.test(text)) throw loneSurrogate();
  return text;
}

/** What was opened is kept out of the answer as what a token stood for is: its caller sent it sealed. */
function guardTexts(opened: unknown, token: string, values: DetokenizedValue[]): void {
  if (typeof opened === 'string') values.push({ value: new Secret(opened), token, isGuarded: true });
  else if (typeof opened === 'object' && opened !== null)
    for (const member of Object.values(opened)) guardTexts(member, token, values);
}

function quoted(text: string): string {
  return JSON.stringify(text);
}

function listOf(bytes: Buffer, leaves: readonly Leaf[]): JsonText {
  const items = leaves.map(({ start, end }) => bytes.toString('utf8', start, end));
  return new JsonText(Buffer.from(`[${items.join(',')}]`));
}
