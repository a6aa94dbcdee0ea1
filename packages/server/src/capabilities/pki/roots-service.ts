import type { Scope } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { actorOf, type Caller } from '../../kernel/principal.js';
import { recordAnswer } from '../../platform/http/idempotency.js';
import { type Database, type Transaction, UniqueViolation } from '../../platform/storage/database.js';
import type { AuditLogs } from '../audit-logs/index.js';
import type { Authorities, Authority } from '../authorities/index.js';
import { CLIENT_ROOT_NAME } from '../client-ca/index.js';
import type { KeyAlgorithm } from '../x509/index.js';
import { rootCreateEntry, rootRetireEntry } from './audit.js';
import { rootNameTaken, tooManyRoots } from './errors.js';
import type { RootAccess } from './root-access.js';
import { distinguishedName, type SubjectFields } from './subject.js';
import { LIVES } from './terms.js';

export interface NewRootInput {
  readonly name: string;
  readonly subject: SubjectFields;
  readonly keyAlgorithm: KeyAlgorithm;
}

export interface CreatedRoot {
  readonly root: Authority;
  readonly issuing: Authority;
}

/** 404 where there is no such root in the caller's tenant and mode, 403 of the reserved one but for what reads it. */
export interface Roots {
  /** The newest first, retired ones too; and the reserved one, once it has signed. */
  list(caller: Caller): Promise<Authority[]>;
  /** With the first issuing authority. 409 where an active root has the name, or there are too many. 503 `tenant_sealed`. */
  create(caller: Caller, input: NewRootInput): Promise<CreatedRoot>;
  /** Answers the new issuing authority. 409, 503. */
  rotateIssuing(caller: Caller, nameOrId: string): Promise<Authority>;
  /** Nothing changes of one that is retired. */
  retire(caller: Caller, nameOrId: string): Promise<void>;
  rootsPem(caller: Caller, nameOrId: string): Promise<string>;
  listsPem(caller: Caller, nameOrId: string): Promise<string>;
}

export interface RootsDeps {
  readonly db: Database;
  readonly authorities: Authorities;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly access: RootAccess;
}

export function createRoots({ db, authorities, auditLogs, access }: RootsDeps): Roots {
  async function requireRoom(scope: Scope, name: string, tx?: Transaction): Promise<void> {
    const roots = await authorities.listRoots(scope, tx);
    const own = roots.filter((root) => root.name !== CLIENT_ROOT_NAME);
    if (own.some((root) => root.name === name && root.status === 'active')) throw rootNameTaken(name);
    if (own.length >= LIMITS.pkiRootsMax) throw tooManyRoots();
  }

  return {
    async list({ principal: { scope } }) {
      const roots = await authorities.listRoots(scope);
      // Of the reserved name the one in use: those before it are of nobody's concern but verifiers'.
      return roots.filter(({ name, status }) => name !== CLIENT_ROOT_NAME || status === 'active');
    },

    async create(caller, { name, subject, keyAlgorithm }) {
      const { scope } = caller.principal;
      // Before the keys are made, which takes seconds.
      await requireRoom(scope, name);
      const terms = { name, subject: distinguishedName(subject), keyAlgorithm, lives: LIVES };
      const { root, issuing, record } = await authorities.prepareRoot(scope, terms);
      const created: CreatedRoot = { root, issuing };
      try {
        await db.transaction(async (tx) => {
          // Roots of one tenant that are made at once are counted one after the other.
          await tx.lock('tenants', scope.tenantId);
          await requireRoom(scope, name, tx);
          await record(tx);
          await auditLogs.record(tx, actorOf(caller), rootCreateEntry(root, issuing));
          await recordAnswer(tx, caller, created);
        });
      } catch (error) {
        throw error instanceof UniqueViolation ? rootNameTaken(name) : error;
      }
      return created;
    },

    async rotateIssuing(caller, nameOrId) {
      const { scope } = caller.principal;
      const root = await access.active(scope, nameOrId);
      return authorities.rotateIssuing(actorOf(caller), scope, root.id, (tx, issuing) =>
        recordAnswer(tx, caller, issuing),
      );
    },

    async retire(caller, nameOrId) {
      const { scope } = caller.principal;
      await db.transaction(async (tx) => {
        const root = await access.own(scope, nameOrId, tx);
        if (root.status === 'active') {
          await authorities.retire(tx, scope, root.id);
          await auditLogs.record(tx, actorOf(caller), rootRetireEntry(root));
        }
        await recordAnswer(tx, caller, undefined);
      });
    },

    rootsPem: ({ principal: { scope } }, nameOrId) => authorities.rootsPem(scope, nameOrId),
    listsPem: ({ principal: { scope } }, nameOrId) => authorities.listsPem(scope, nameOrId),
  };
}
