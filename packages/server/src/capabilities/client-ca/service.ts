import type { Clock } from '../../kernel/clock.js';
import { modeOf, type Scope } from '../../kernel/ids.js';
import { Secret } from '../../kernel/secret.js';
import { createShare } from '../../kernel/share.js';
import { newKeyPair } from '../../platform/crypto/key-pairs.js';
import type { Random } from '../../platform/crypto/random.js';
import { type Database, UniqueViolation } from '../../platform/storage/database.js';
import { systemActor } from '../accounts/index.js';
import type { AuditLogs } from '../audit-logs/index.js';
import { type Authorities, type Authority, authorityEntry } from '../authorities/index.js';
import { type DistinguishedName, nameFault, pem } from '../x509/index.js';
import type { CertifiedClient, ClientCa } from './client-ca.js';
import { CLIENT_LIFE_MS, CLIENT_LIVES, CLIENT_ROOT_NAME } from './terms.js';

export interface ClientCaDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly authorities: Pick<Authorities, 'findRoot' | 'prepareRoot' | 'prepareCertificate' | 'revoke'>;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
}

const DIGEST_BYTES = 4;

export function createClientCa({ db, clock, random, authorities, auditLogs }: ClientCaDeps): ClientCa {
  const share = createShare<void>();

  /** One whose issuing authorities are not cut short by it. */
  async function currentRoot(scope: Scope): Promise<Authority> {
    const former = await findActive(scope);
    if (former && former.notAfterMs - clock.nowMs() >= CLIENT_LIVES.issuingMs) return former;
    await share(`${scope.tenantId}:${modeOf(scope)}`, () => makeRoot(scope, former));
    return (await findActive(scope))!;
  }

  async function findActive(scope: Scope): Promise<Authority | undefined> {
    const root = await authorities.findRoot(scope, CLIENT_ROOT_NAME);
    return root?.status === 'active' ? root : undefined;
  }

  /** By whoever needs it first, and in time: the cause is the system. */
  async function makeRoot(scope: Scope, former: Authority | undefined): Promise<void> {
    const made = await authorities.prepareRoot(scope, {
      name: CLIENT_ROOT_NAME,
      subject: rootName(scope, random),
      keyAlgorithm: 'ecdsa-p256',
      lives: CLIENT_LIVES,
      ...(former && { replaces: former }),
    });
    const actor = { ...systemActor(scope.tenantId), scope };
    try {
      await db.transaction(async (tx) => {
        await made.record(tx);
        await auditLogs.record(tx, actor, authorityEntry('pki.root.create', made.root));
        await auditLogs.record(tx, actor, authorityEntry('pki.intermediate.rotate', made.issuing));
      });
    } catch (error) {
      // One active root of the name: another process has committed meanwhile.
      if (!(error instanceof UniqueViolation)) throw error;
    }
  }

  return {
    async prepare(scope, client) {
      const { id: rootId } = await currentRoot(scope);
      const { privateKey, publicKey } = await newKeyPair('ecdsa-p256', scope.tenantId);
      try {
        const made = await authorities.prepareCertificate(scope, rootId, {
          subject: [['CN', commonNameOf(client)]],
          publicKey,
          purposes: ['client'],
          dns: [],
          ips: [],
          uris: [`urn:knoxcall:client:${client.id}`],
          lifeMs: CLIENT_LIFE_MS,
          clientId: client.id,
        });
        const { serial, subject, sha256Thumbprint, notBeforeMs, notAfterMs, der, issuing, root } = made;
        return {
          ...{ serial, subject, sha256Thumbprint, notBeforeMs, notAfterMs },
          certificatePem: pem('CERTIFICATE', der),
          caChainPem: pem('CERTIFICATE', issuing.certificate) + pem('CERTIFICATE', root.certificate),
          privateKeyPem: new Secret(pem('PRIVATE KEY', privateKey)),
          record: (tx) => made.record(tx),
        };
      } finally {
        privateKey.fill(0);
      }
    },

    revoke: async (tx, scope, serials, reason) =>
      (await authorities.revoke(tx, scope, { serials, reason })).revoked,
  };
}

/** No two roots have the same name: those who verify look issuers up by it. */
function rootName({ tenantId, sandbox }: Scope, random: Random): DistinguishedName {
  return [
    ['O', `KnoxCall ${tenantId}`],
    ['OU', modeOf({ sandbox })],
    ['CN', `Clients root ${random.bytes(DIGEST_BYTES).toString('hex')}`],
  ];
}

/** The name where it can stand there, else the id (clients-pki.md §2.4). */
function commonNameOf({ id, name }: CertifiedClient): string {
  return nameFault('CN', name) === null ? name : id;
}
