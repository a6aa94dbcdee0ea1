import { isUuid } from '../../kernel/ids.js';

/** The part of an address that names a directory. */
export interface DirectoryPath {
  readonly tenantId: string;
  readonly rootId: string;
  readonly roleId: string;
}

/** The addresses of one directory (RFC 8555 §7.1), under the origin by which it was called. */
export interface AcmeUrls {
  /** Without an origin: for what a nonce is good. */
  readonly path: string;
  readonly directory: string;
  readonly newNonce: string;
  readonly newAccount: string;
  readonly newOrder: string;
  readonly revokeCert: string;
  readonly keyChange: string;
  account(id: string): string;
  orders(accountId: string): string;
  order(id: string): string;
  finalize(orderId: string): string;
  certificate(orderId: string): string;
  authorization(id: string): string;
  challenge(id: string): string;
  /** Null for what is no account's address here. */
  accountIdIn(kid: string): string | null;
}

export function isDirectoryPath({ tenantId, rootId, roleId }: DirectoryPath): boolean {
  // In the one form that stands in our own answers: addresses are compared as texts.
  return [tenantId, rootId, roleId].every((id) => isUuid(id) && id === id.toLowerCase());
}

export function acmeUrls(origin: string, { tenantId, rootId, roleId }: DirectoryPath): AcmeUrls {
  const path = `/pki/${tenantId}/${rootId}/${roleId}/acme`;
  const base = origin + path;
  return {
    path,
    directory: `${base}/directory`,
    newNonce: `${base}/new-nonce`,
    newAccount: `${base}/new-account`,
    newOrder: `${base}/new-order`,
    revokeCert: `${base}/revoke-cert`,
    keyChange: `${base}/key-change`,
    account: (id) => `${base}/account/${id}`,
    orders: (accountId) => `${base}/account/${accountId}/orders`,
    order: (id) => `${base}/order/${id}`,
    finalize: (orderId) => `${base}/order/${orderId}/finalize`,
    certificate: (orderId) => `${base}/certificate/${orderId}`,
    authorization: (id) => `${base}/authorization/${id}`,
    challenge: (id) => `${base}/challenge/${id}`,
    accountIdIn(kid) {
      const prefix = `${base}/account/`;
      const id = kid.startsWith(prefix) ? kid.slice(prefix.length) : '';
      return isUuid(id) ? id : null;
    },
  };
}
