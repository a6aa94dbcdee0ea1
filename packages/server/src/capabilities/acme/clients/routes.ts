import { type RouteDefinition, route } from '../../../platform/http/route.js';
import { roleParams } from '../keys/schemas.js';
import { accountListQuery, accountParams, accountResponse, accountWire, emptyBody } from './schemas.js';
import type { AcmeClients } from './service.js';

const PATH = '/v1/pki/roots/:name/roles/:role/acme-accounts';

export function acmeClientRoutes(acme: { readonly clients: AcmeClients }): RouteDefinition[] {
  return [
    route({
      method: 'GET',
      path: PATH,
      summary: 'List the accounts that ACME clients have opened at a role',
      permission: 'pki:read',
      audit: null,
      params: roleParams,
      query: accountListQuery,
      response: accountResponse,
      errors: ['forbidden'],
      answer: 'page',
      async handle({ caller, params, query: { page, per_page: perPage, order, status } }) {
        const asked = { page, perPage, order, ...(status && { status }) };
        const found = await acme.clients.list(caller, params.name, params.role, asked);
        return { ...found, rows: found.rows.map(accountWire) };
      },
    }),
    route({
      method: 'POST',
      path: `${PATH}/:account/revoke`,
      admin: 'bare',
      summary: 'Revoke an ACME account and what it has begun; its certificates stay',
      permission: 'pki:write',
      audit: 'pki.acme.account',
      params: accountParams,
      body: emptyBody,
      response: accountResponse,
      errors: ['forbidden'],
      handle: ({ caller, params }) => acme.clients.revoke(caller, params.name, params.role, params.account),
      wire: (account) => accountWire(account),
    }),
  ];
}
