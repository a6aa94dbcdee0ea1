import { type RouteDefinition, route } from '../../platform/http/route.js';
import {
  certificateListQuery,
  certificateParams,
  certificateResponse,
  certificateRow,
  certificateRowWire,
  certificateWire,
  issueBody,
  issuedResponse,
  issuedWire,
  revokeBody,
  revokedResponse,
  signBody,
  signedResponse,
  signedWire,
} from './certificate-schemas.js';
import { roleParams } from './role-schemas.js';
import { rootParams } from './schemas.js';
import type { Pki } from './service.js';

const ROOT = '/v1/pki/roots/:name';

export function certificateRoutes(pki: Pki): RouteDefinition[] {
  return [
    route({
      method: 'POST',
      path: `${ROOT}/issue/:role`,
      admin: 'bare',
      summary: 'Issue a certificate with a new key, which this one answer shows',
      permission: 'pki:issue',
      audit: 'pki.issue',
      params: roleParams,
      body: issueBody,
      response: issuedResponse,
      errors: ['forbidden', 'conflict', 'tenant_sealed'],
      noStore: true,
      notReplayed: ['private_key_pem'],
      handle: ({ caller, params, body }) => pki.certificates.issue(caller, params.name, params.role, body),
      wire: (issued) => issuedWire(issued),
    }),
    route({
      method: 'POST',
      path: `${ROOT}/sign/:role`,
      admin: 'bare',
      summary: 'Certify the key and the names of a certificate signing request',
      permission: 'pki:issue',
      audit: 'pki.sign',
      params: roleParams,
      body: signBody,
      response: signedResponse,
      errors: ['forbidden', 'conflict', 'tenant_sealed'],
      handle: ({ caller, params, body }) => pki.certificates.sign(caller, params.name, params.role, body),
      wire: (certified) => signedWire(certified),
    }),
    route({
      method: 'POST',
      path: `${ROOT}/revoke`,
      admin: 'bare',
      summary: 'Revoke a certificate',
      permission: 'pki:revoke',
      audit: 'pki.revoke',
      params: rootParams,
      body: revokeBody,
      response: revokedResponse,
      errors: ['forbidden'],
      handle: ({ caller, params, body }) => pki.certificates.revoke(caller, params.name, body),
      wire: () => ({ revoked: true }),
    }),
    route({
      method: 'GET',
      path: `${ROOT}/certs`,
      operationId: 'listPkiCertificates',
      summary: 'List the certificates of a root',
      permission: 'pki:read',
      audit: null,
      params: rootParams,
      query: certificateListQuery,
      response: certificateRow,
      errors: ['forbidden'],
      answer: 'page',
      async handle({ caller, params, query: { page, per_page: perPage, order, status } }) {
        const asked = { page, perPage, order, ...(status && { status }) };
        const found = await pki.certificates.list(caller, params.name, asked);
        return { ...found, rows: found.rows.map(certificateRowWire) };
      },
    }),
    route({
      method: 'GET',
      path: `${ROOT}/certs/:serial`,
      admin: 'bare',
      operationId: 'getPkiCertificate',
      summary: 'Read a certificate of a root',
      permission: 'pki:read',
      audit: null,
      params: certificateParams,
      response: certificateResponse,
      errors: ['forbidden'],
      handle: async ({ caller, params }) =>
        certificateWire(await pki.certificates.get(caller, params.name, params.serial)),
    }),
  ];
}
