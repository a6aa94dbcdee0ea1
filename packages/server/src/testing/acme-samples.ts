import { createAcmeSigner } from './acme-signer.js';
import type { World } from './matrix-rig.js';
import { freshMount, pkiRootOf, ROLE_FIELDS } from './pki-samples.js';
import type { RouteSample } from './route-sample.js';

const PATH = '/v1/pki/roots/:name/roles/:role/acme-keys';

async function newKeys(world: World): Promise<string> {
  const root = await pkiRootOf(world);
  const { status, text, json } = await world.call('POST', `${root}/roles`, {
    body: { role_name: freshMount(), ...ROLE_FIELDS },
  });
  if (status !== 201) throw new Error(`POST ${root}/roles: ${status} ${text}`);
  return `${root}/roles/${(json['data'] ?? json).id}/acme-keys`;
}

async function newKey(world: World): Promise<string> {
  const path = await newKeys(world);
  const { status, text, json } = await world.call('POST', path, { body: {} });
  if (status !== 201) throw new Error(`POST ${path}: ${status} ${text}`);
  return `${path}/${(json['data'] ?? json).kid}`;
}

const ACCOUNTS = '/v1/pki/roots/:name/roles/:role/acme-accounts';

/** Opened by a client of its own, at a role of its own. */
async function newAccount(world: World): Promise<{ readonly list: string; readonly id: string }> {
  const root = await pkiRootOf(world);
  const body = { role_name: freshMount(), ...ROLE_FIELDS, acme_require_eab: false };
  const role = (await world.create(`${root}/roles`, body)) as { readonly id: string };
  const rootId = root.split('/').at(-1);
  const directory = `/pki/${world.tenant.id}/${rootId}/${role.id}/acme`;
  const { call } = world.installation;
  const { newAccount: url } = (await call('GET', `${directory}/directory`, {})).json as {
    newAccount: string;
  };
  const nonce = (await call('HEAD', `${directory}/new-nonce`, {})).headers['replay-nonce'];
  const signer = createAcmeSigner('ES256');
  const payload = JSON.stringify(signer.sign({ url, nonce, jwk: signer.jwk }, {}));
  const headers = { 'content-type': 'application/jose+json' };
  const {
    status,
    text,
    headers: answered,
  } = await call('POST', `${directory}/new-account`, { payload, headers });
  if (status !== 201) throw new Error(`POST ${url}: ${status} ${text}`);
  return {
    list: `${root}/roles/${role.id}/acme-accounts`,
    id: String(answered['location']).split('/').at(-1)!,
  };
}

/** Rows of which each mode may have some. */
export const ACME_KINDS = {
  [PATH]: {
    async make(world: World) {
      const path = await newKey(world);
      const at = path.lastIndexOf('/');
      return { list: path.slice(0, at), id: path.slice(at + 1) };
    },
  },
  [ACCOUNTS]: { make: newAccount },
};

export const ACME_SAMPLES: Readonly<Record<string, RouteSample>> = {
  [`GET ${PATH}`]: { path: newKeys },
  [`POST ${PATH}`]: { path: newKeys, bodies: () => [{ label: 'web servers' }, { label: null }] },
  [`DELETE ${PATH}/:kid`]: { path: newKey },
  [`GET ${ACCOUNTS}`]: { path: async (world) => (await newAccount(world)).list },
  [`POST ${ACCOUNTS}/:account/revoke`]: {
    async path(world) {
      const { list, id } = await newAccount(world);
      return `${list}/${id}/revoke`;
    },
    bodies: () => [{}],
  },
};
