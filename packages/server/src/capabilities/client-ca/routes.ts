import { z } from 'zod';
import { type RouteDefinition, route } from '../../platform/http/route.js';
import type { Authorities, Authority } from '../authorities/index.js';
import { certificatesText, listsText, rootParams, rootResponse, rootWire } from './schemas.js';
import { CLIENT_ROOT_NAME } from './terms.js';

export function clientCaRoutes(
  authorities: Pick<Authorities, 'listRoots' | 'rootsPem' | 'listsPem'>,
): RouteDefinition[] {
  return [
    route({
      method: 'GET',
      path: '/v1/pki/roots',
      admin: 'bare',
      summary: 'List certificate authorities; `_clients` is there from the first issued certificate on',
      permission: 'pki:read',
      audit: null,
      response: z.array(rootResponse),
      async handle({ caller }) {
        const { scope } = caller.principal;
        const roots = (await authorities.listRoots(scope)).filter(isShown);
        return roots.map((root) => rootWire(scope, root));
      },
    }),
    route({
      method: 'GET',
      path: '/v1/pki/roots/:name/cert',
      admin: 'bare',
      summary: 'Read the certificate of a root, and those before it that have not ended',
      permission: 'pki:read',
      audit: null,
      params: rootParams,
      response: certificatesText,
      text: 'text/x-pem-file',
      handle: ({ caller, params }) => authorities.rootsPem(caller.principal.scope, params.name),
    }),
    route({
      method: 'GET',
      path: '/v1/pki/roots/:name/crl',
      admin: 'bare',
      summary: 'Read what the authorities of a root have revoked',
      permission: 'pki:read',
      audit: null,
      params: rootParams,
      response: listsText,
      text: 'text/plain',
      errors: ['tenant_sealed'],
      handle: ({ caller, params }) => authorities.listsPem(caller.principal.scope, params.name),
    }),
  ];
}

/** Of the reserved name the one that is in use. */
function isShown({ name, status }: Authority): boolean {
  return name !== CLIENT_ROOT_NAME || status === 'active';
}
