import { setImmediate as nextTurn } from 'node:timers/promises';
import { validationError } from '../../kernel/errors.js';
import { scanJson } from '../../kernel/json-scanner.js';
import { JsonText } from '../../kernel/json-text.js';
import { LIMITS } from '../../kernel/limits.js';
import { actorOf, type Caller } from '../../kernel/principal.js';
import { Secret } from '../../kernel/secret.js';
import { pointOfSpki } from '../../platform/crypto/public-keys.js';
import type { Random } from '../../platform/crypto/random.js';
import { publicPointOf } from '../../platform/crypto/sealed-box.js';
import { smallAnswerInsertions } from '../../platform/http/idempotency.js';
import type { Database } from '../../platform/storage/database.js';
import type { AuditLogs } from '../audit-logs/index.js';
import { cryptoEntry } from './audit.js';
import { type Portable, type PortableKeyRef, parsePortable, sealPortableTo } from './portable-format.js';
import type { PortableKey, PortableKeys } from './portable-keys.js';
import type { OpenPortable } from './portable-opening.js';
import { datatypeAt, isText } from './portable-values.js';
import type { CryptoKeys } from './service.js';

export interface SealedDocument {
  readonly ciphertext: JsonText;
  readonly key: PortableKey;
  readonly version: number;
}

export interface SealingBundle {
  /** Uncompressed, 65 bytes. */
  readonly point: Buffer;
  readonly keyRef: PortableKeyRef;
}

export interface SealingTerms {
  /** The default key where there is none. */
  readonly key?: string;
  readonly role: string;
  /** Of a field action; absent = the API. */
  readonly via?: 'route';
}

/** JSON whose values are sealed one by one, its shape kept (clients-pki.md §5; docs/decisions/0086). */
export interface PortableDocuments {
  /** Every value but null and what is sealed under a key of the scope already. The audit row is durable before this resolves. */
  encrypt(caller: Caller, data: JsonText, terms: SealingTerms): Promise<SealedDocument>;
  /** Every text that is a ciphertext as a whole; all or none. The audit rows are durable before this resolves. */
  decrypt(caller: Caller, data: JsonText, role: string, via?: 'route'): Promise<Secret<JsonText>>;
  /** What whoever seals without this server needs: nothing of it is secret. */
  sealingBundle(caller: Caller, key?: string): Promise<SealingBundle>;
}

export interface PortableDocumentsDeps {
  readonly db: Pick<Database, 'commitInserts'>;
  readonly random: Random;
  readonly cryptoKeys: Pick<CryptoKeys, 'use' | 'publicKeyOf'>;
  readonly auditLogs: Pick<AuditLogs, 'insertion'>;
  readonly keys: PortableKeys;
  readonly open: OpenPortable;
}

/** A value, by its place in the text. */
interface Leaf {
  readonly start: number;
  readonly end: number;
}

interface Plain extends Leaf {
  readonly datatype: 's' | 'n' | 'b';
  readonly plaintext: Buffer;
}

interface Sealed extends Leaf {
  readonly portable: Portable;
}

/** So many operations on the curve take some milliseconds, for which everybody else waits. */
const SLICE = 16;
const BACKSLASH = 0x5c;
const K = 0x6b;

export function createPortableDocuments(deps: PortableDocumentsDeps): PortableDocuments {
  const { db, random, cryptoKeys, auditLogs, keys, open } = deps;

  /** Left as they are: what names a key of this scope. Any other text of that form is a text, and is sealed. */
  async function leavesToSeal(caller: Caller, data: JsonText): Promise<Plain[]> {
    const { scope } = caller.principal;
    const known = new Map<string, Promise<boolean>>();
    const isOwn = ({ keyRef }: Portable) => {
      const name = `${keyRef.tenantId} ${keyRef.keyId} ${keyRef.version}`;
      const found = known.get(name) ?? keys.named(scope, keyRef).then((key) => key !== undefined);
      known.set(name, found);
      return found;
    };
    const leaves: Plain[] = [];
    for (const { portable, ...plain } of plainLeaves(data.bytes))
      if (portable === null || !(await isOwn(portable))) leaves.push(plain);
    return leaves;
  }

  async function sealAll(
    key: PortableKey,
    keyRef: PortableKeyRef,
    leaves: readonly Plain[],
    role: string,
    caller: Caller,
  ) {
    const sealed: string[] = [];
    for (let at = 0; at < leaves.length || at === 0; at += SLICE) {
      if (at > 0) await nextTurn();
      // Lent for each slice anew: a version that was destroyed meanwhile seals nothing more.
      const texts = await cryptoKeys.use(caller.principal.scope, key.id, keyRef.version, (privateKey) => {
        const recipient = publicPointOf(privateKey);
        return leaves
          .slice(at, at + SLICE)
          .map(({ datatype, plaintext }) =>
            sealPortableTo(random, recipient, { keyRef, datatype, plaintext, role }),
          );
      });
      sealed.push(...texts);
    }
    return sealed;
  }

  async function openAll(caller: Caller, leaves: readonly Sealed[], role: string) {
    const opened: Secret<string>[] = [];
    const used = new Map<string, { key: PortableKey; version: number; values: number }>();
    const known = new Map<string, Promise<PortableKey>>();
    for (const [index, { portable }] of leaves.entries()) {
      if (index > 0 && index % SLICE === 0) await nextTurn();
      const { keyId, version, tenantId } = portable.keyRef;
      const name = `${tenantId} ${keyId} ${version}`;
      const finding = known.get(name) ?? keys.forOpening(caller.principal.scope, portable);
      known.set(name, finding);
      const key = await finding;
      opened.push(await open(caller.principal.scope, key, portable, role));
      const use = used.get(name) ?? { key, version, values: 0 };
      used.set(name, { ...use, values: use.values + 1 });
    }
    return { opened, uses: [...used.values()] };
  }

  const roleOf = (role: string) => (role === '' ? {} : { role });
  const viaOf = (via: 'route' | undefined) => (via === undefined ? {} : { via });

  return {
    async encrypt(caller, data, terms) {
      const { scope } = caller.principal;
      const leaves = await leavesToSeal(caller, data);
      const key = await keys.forSealing(caller, terms.key);
      const version = key.currentVersion;
      const keyRef = { tenantId: scope.tenantId, keyId: key.id, version };
      const texts = await sealAll(key, keyRef, leaves, terms.role, caller);
      const ciphertext = spliced(data.bytes, leaves, (index) => `"${texts[index]}"`);
      for (const { plaintext } of leaves) plaintext.fill(0);
      const result = { ciphertext, key, version };
      const details = { version, values: leaves.length, ...roleOf(terms.role), ...viaOf(terms.via) };
      await db.commitInserts([
        auditLogs.insertion(actorOf(caller), cryptoEntry('crypto.encrypt', key, details)),
        ...smallAnswerInsertions(caller, result),
      ]);
      return result;
    },

    async decrypt(caller, data, role, via) {
      const leaves = sealedLeaves(data.bytes);
      const { opened, uses } = await openAll(caller, leaves, role);
      const plaintext = new Secret(spliced(data.bytes, leaves, (index) => opened[index]!.reveal()));
      const rows = uses.map(({ key, version, values }) =>
        auditLogs.insertion(
          actorOf(caller),
          cryptoEntry('crypto.decrypt', key, { version, values, ...roleOf(role), ...viaOf(via) }),
        ),
      );
      rows.push(...smallAnswerInsertions(caller, plaintext));
      if (rows.length > 0) await db.commitInserts(rows);
      return plaintext;
    },

    async sealingBundle(caller, name) {
      const { scope } = caller.principal;
      const key = await keys.forSealing(caller, name);
      const version = key.currentVersion;
      // What is public is stored as such: a bundle is given while the tenant is sealed, too.
      const spki = await cryptoKeys.publicKeyOf(scope, key.id, version);
      return { point: pointOfSpki(spki), keyRef: { tenantId: scope.tenantId, keyId: key.id, version } };
    },
  };
}

/** Every value but null, as it is sealed; of a text also what it would be as a ciphertext. */
function plainLeaves(bytes: Buffer): (Plain & { readonly portable: Portable | null })[] {
  const leaves: (Plain & { readonly portable: Portable | null })[] = [];
  let plaintextBytes = 0;
  scanJson(bytes, {
    scalar(start, end) {
      const datatype = datatypeAt(bytes, start);
      if (datatype === null) return;
      // Thrown from within: of millions of values none is kept.
      if (leaves.length === LIMITS.portableLeavesMax) throw tooManyValues();
      const text = datatype === 's' ? stringAt(bytes, start, end) : null;
      const plaintext = Buffer.from(text ?? bytes.subarray(start, end));
      plaintextBytes += plaintext.length;
      if (plaintextBytes > LIMITS.cryptoPlaintextBytesMax) throw tooManyBytes();
      leaves.push({ start, end, datatype, plaintext, portable: text === null ? null : parsePortable(text) });
    },
  });
  return leaves;
}

function sealedLeaves(bytes: Buffer): Sealed[] {
  const leaves: Sealed[] = [];
  scanJson(bytes, {
    scalar(start, end) {
      // Most texts are none: they are not even decoded.
      if (!isText(bytes, start) || (bytes[start + 1] !== K && bytes[start + 1] !== BACKSLASH)) return;
      const portable = parsePortable(JSON.parse(bytes.toString('utf8', start, end)) as string);
      if (portable === null) return;
      if (leaves.length === LIMITS.portableLeavesMax) throw tooManyValues();
      leaves.push({ start, end, portable });
    },
  });
  return leaves;
}

function tooManyValues() {
  return validationError('data', `holds more than ${LIMITS.portableLeavesMax} values to encrypt or decrypt`);
}

function tooManyBytes() {
  return validationError('data', `holds more than ${LIMITS.cryptoPlaintextBytesMax} bytes of values`);
}

function stringAt(bytes: Buffer, start: number, end: number): string {
  const text = JSON.parse(bytes.toString('utf8', start, end)) as string;
  // It has no UTF-8, and would come back as another character.
  if (/\p{Surrogate}/u.test(text)) throw validationError('data', 'holds a lone surrogate');
  return text;
}

/** The text with others in place of some of its values. */
function spliced(bytes: Buffer, leaves: readonly Leaf[], textOf: (index: number) => string): JsonText {
  const parts: Buffer[] = [];
  let from = 0;
  for (const [index, { start, end }] of leaves.entries()) {
    parts.push(bytes.subarray(from, start), Buffer.from(textOf(index)));
    from = end;
  }
  return new JsonText(Buffer.concat([...parts, bytes.subarray(from)]));
}
