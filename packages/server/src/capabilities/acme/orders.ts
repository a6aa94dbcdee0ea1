import type { Clock } from '../../kernel/clock.js';
import type { IdSource, Scope } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { decodeBase64Url } from '../../platform/crypto/jwk.js';
import { thumbprintOfSpki } from '../../platform/crypto/key-thumbprints.js';
import type { Random } from '../../platform/crypto/random.js';
import type { Jobs } from '../../platform/jobs/jobs.js';
import type { Database } from '../../platform/storage/database.js';
import type { PkiIssuing } from '../pki/index.js';
import { type CertificateRequest, CsrRefused, loadX509 } from '../x509/index.js';
import { requireBinding } from './external-keys.js';
import { readIdentifiers, WILDCARD } from './identifiers.js';
import type { Issuance } from './issuance.js';
import type { OrderBounds } from './order-bounds.js';
import type { Authorization, Challenge, Order, OrderStore } from './order-store.js';
import { AcmeProblem, malformed, notAuthorized, notThere } from './problems.js';
import { type AccountRequest, type AcmeCall, payloadOf, requireNothing } from './signed-requests.js';
import type { ChallengeType } from './tables.js';
import { authorizationStatus, orderStatus } from './wire.js';

export interface OrderDetail {
  readonly order: Order;
  readonly authorizations: readonly Authorization[];
}

/** RFC 8555 §7.4. Another account's order is as unknown as one that never was. */
export interface AcmeOrders {
  create(call: AcmeCall, request: AccountRequest): Promise<OrderDetail>;
  get(call: AcmeCall, request: AccountRequest, id: string): Promise<OrderDetail>;
  /** The newest first; `next`: the cursor of the page after it. 404 for another account. */
  list(
    call: AcmeCall,
    request: AccountRequest,
    accountId: string,
    cursor: string | null,
  ): Promise<{ readonly ids: readonly string[]; readonly next: string | null }>;
  /** Answers once the certificate is there, or after a while without it. */
  finalize(call: AcmeCall, request: AccountRequest, id: string): Promise<OrderDetail>;
  /** PEM: the certificate, then its issuers. */
  certificate(call: AcmeCall, request: AccountRequest, id: string): Promise<string>;
}

export interface AcmeOrdersDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: Pick<Random, 'bytes'>;
  readonly orders: OrderStore;
  readonly bounds: OrderBounds;
  readonly pki: Pick<PkiIssuing, 'refusedName'>;
  readonly jobs: Pick<Jobs, 'enqueue'>;
  readonly issuance: Pick<Issuance, 'settled'>;
}

export const ISSUANCE_JOB = 'acme_issuance';
/** 256 bits (RFC 8555 §8). */
const TOKEN_BYTES = 32;

export function createAcmeOrders(deps: AcmeOrdersDeps): AcmeOrders {
  const { db, clock, ids, random, orders, bounds, pki, jobs, issuance } = deps;

  async function find({ target }: AcmeCall, { account }: AccountRequest, id: string): Promise<Order> {
    const order = await orders.findOrder(target.scope, id);
    if (order?.accountId !== account.id) throw notThere('Order');
    return order;
  }

  async function detailOf(scope: Scope, order: Order): Promise<OrderDetail> {
    return { order, authorizations: await orders.authorizationsOf(scope, order.id) };
  }

  /** The intent: what is left is the job's, whoever runs it. */
  async function begin({ target: { scope }, visitor }: AcmeCall, { id }: Order, csr: Buffer): Promise<void> {
    await db.transaction(async (tx) => {
      const authorizations = await orders.authorizationsOf(scope, id, tx);
      const nowMs = clock.nowMs();
      if (!authorizations.every((one) => authorizationStatus(one, nowMs) === 'valid'))
        throw new AcmeProblem('orderNotReady', 'An authorization of the order is not valid any longer');
      if (!(await orders.advanceOrder(tx, scope, id, ['ready'], 'processing', { csr })))
        throw orderNotReady('not ready any longer');
      const where = { tenant_id: scope.tenantId, sandbox: scope.sandbox, order_id: id };
      const payload = { ...where, request_id: visitor.requestId, ip: visitor.ip };
      await jobs.enqueue(tx, ISSUANCE_JOB, payload, { key: id });
    });
  }

  function challengesOf({ id, isWildcard }: Authorization): Challenge[] {
    // RFC 8555 §7.1.3: a page of one host says nothing of all names below it.
    const types: readonly ChallengeType[] = isWildcard ? ['dns-01'] : ['http-01', 'dns-01'];
    const token = random.bytes(TOKEN_BYTES).toString('base64url');
    return types.map((type) => ({
      id: ids.uuid(),
      authorizationId: id,
      type,
      token,
      status: 'pending',
      error: null,
      validatedAtMs: null,
    }));
  }

  return {
    async create(call, request) {
      const { scope, root, role } = call.target;
      requireBinding(role, request.account);
      const payload = payloadOf(request);
      for (const member of ['notBefore', 'notAfter'])
        if (payload[member] !== undefined)
          throw malformed(`${member} is not taken: the role says how long certificates last`);
      const names = readIdentifiers(payload.identifiers, role, pki);
      if (root.status !== 'active') throw notAuthorized('The root is retired: it certifies nothing new');
      const nowMs = clock.nowMs();
      const order: Order = {
        id: ids.uuid(),
        accountId: request.account.id,
        status: 'pending',
        names,
        csr: null,
        error: null,
        serial: null,
        createdAtMs: nowMs,
        expiresAtMs: nowMs + LIMITS.acmeOrderMs,
      };
      const authorizations = names.map((name): Authorization => {
        const isWildcard = name.startsWith(WILDCARD);
        return {
          id: ids.uuid(),
          accountId: order.accountId,
          orderId: order.id,
          name: isWildcard ? name.slice(WILDCARD.length) : name,
          isWildcard,
          status: 'pending',
          expiresAtMs: order.expiresAtMs,
        };
      });
      const insert = () =>
        db.transaction(async (tx) => {
          await bounds.admit(tx, call, request.account, order);
          await orders.insertOrder(tx, scope, order, authorizations, authorizations.flatMap(challengesOf));
        });
      await bounds.ofNetwork(call, names.length, insert);
      return { order, authorizations };
    },

    async get(call, request, id) {
      requireNothing(request);
      return detailOf(call.target.scope, await find(call, request, id));
    },

    async list({ target: { scope } }, request, accountId, cursor) {
      requireNothing(request);
      if (accountId !== request.account.id) throw notThere('Account');
      const last = cursor === null ? null : await orders.findOrder(scope, cursor);
      if (last === undefined || (last && last.accountId !== accountId))
        throw malformed('cursor is none of this list');
      const most = LIMITS.acmeOrdersPerPage;
      const rows = await orders.listOrders(scope, accountId, last, most + 1);
      const page = rows.slice(0, most).map(({ id }) => id);
      return { ids: page, next: rows.length > most ? page.at(-1)! : null };
    },

    async finalize(call, request, id) {
      const { scope, role } = call.target;
      requireBinding(role, request.account);
      const csr = csrIn(payloadOf(request).csr);
      const order = await find(call, request, id);
      requireReady(order, clock.nowMs());
      await checkRequest(csr, order, request.account.thumbprint);
      await issuance.settled(order.id, () => begin(call, order, csr));
      return detailOf(scope, await find(call, request, id));
    },

    async certificate(call, request, id) {
      requireNothing(request);
      const order = await find(call, request, id);
      const certificate =
        order.status === 'valid' ? await orders.certificateOf(call.target.scope, id) : undefined;
      if (certificate === undefined) throw notThere('Certificate');
      return certificate;
    },
  };
}

function requireReady(order: Order, nowMs: number): void {
  const status = orderStatus(order, nowMs);
  if (status !== 'ready') throw orderNotReady(status);
}

function orderNotReady(status: string): AcmeProblem {
  return new AcmeProblem('orderNotReady', `The order is ${status}; one that is ready can be finalized`);
}

function csrIn(value: unknown): Buffer {
  const der = typeof value === 'string' ? decodeBase64Url(value) : null;
  if (der === null || der.length === 0) throw malformed('csr must be DER in base64url without padding');
  return der;
}

/** RFC 8555 §7.4: for exactly the names of the order, and never with the key that is the account's. */
async function checkRequest(der: Buffer, order: Order, accountThumbprint: string): Promise<void> {
  const { readCsr } = await loadX509();
  let request: CertificateRequest;
  try {
    request = readCsr(der);
  } catch (error) {
    if (error instanceof CsrRefused) throw badCsr(error.reason);
    throw error;
  }
  if (request.ips.length > 0 || request.others.length > 0) throw badCsr('it may ask for DNS names alone');
  const commonNames = (request.subject ?? []).flatMap(([name, value]) => (name === 'CN' ? [value] : []));
  const asked = new Set([...request.dns, ...commonNames].map((name) => name.toLowerCase()));
  const missing = order.names.find((name) => !asked.has(name));
  if (missing !== undefined) throw badCsr(`it does not ask for ${missing}, which the order has`);
  if (asked.size > order.names.length) throw badCsr('it asks for a name that the order does not have');
  if (thumbprintOfSpki(request.publicKey) === accountThumbprint)
    throw badCsr('its key is that of the account; a certificate has a key of its own');
}

export function badCsr(reason: string): AcmeProblem {
  return new AcmeProblem('badCSR', `csr: ${reason}`);
}
