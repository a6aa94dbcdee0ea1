import type { World } from './matrix-rig.js';
import type { Body, RouteSample } from './route-sample.js';

const ROOTS = '/v1/pki/roots';
const DOMAIN = 'example.internal';

/** For the names below and 10.0.0.9, of a key that nobody has. */
export const CSR_PEM = `-----BEGIN CERTIFICATE REQUEST-----
MIIBRDCB6wIBADA7MQswCQYDVQQGEwJERTENMAsGA1UECgwEQWNtZTEdMBsGA1UE
AwwUY3NyLmV4YW1wbGUuaW50ZXJuYWwwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AAQJY359RMZJ+fv0VYlbocW6AZup6ob8S8N6QDiikbJpSaQHLpwLHgtNoCb6qFVC
Om+S4JzN3K+vvEFFJ2+hfUIJoE4wTAYJKoZIhvcNAQkOMT8wPTA7BgNVHREENDAy
ghRjc3IuZXhhbXBsZS5pbnRlcm5hbIIUd3d3LmV4YW1wbGUuaW50ZXJuYWyHBAoA
AAkwCgYIKoZIzj0EAwIDSAAwRQIhAPh8jkB5nAaOyXY/O+U/qiIC4h8FYYMXd+9Y
uhlPkh0NAiAVEBuOmvZyEaGgsP56j1o+ryjEiEhZVa/d/gJ46rpZ6A==
-----END CERTIFICATE REQUEST-----
`;

const WHERE = { C: 'DE', ST: 'Bayern', L: 'Nürnberg', O: 'Acme', OU: 'IT' };
const WHERE_IN_LONG = {
  country: 'DE',
  province: 'Bayern',
  locality: 'Nürnberg',
  organization: 'Acme',
  organizational_unit: 'IT',
};

export const ROLE_FIELDS = {
  allowed_domains: [DOMAIN],
  allow_subdomains: true,
  allow_wildcards: true,
  allow_ip_sans: true,
  allow_acme: true,
  acme_require_eab: true,
  max_ttl_seconds: 86_400,
  default_ttl_seconds: 3_600,
  key_algorithm: 'ecdsa-p256',
};

let made = 0;
export const freshMount = () => `pki${++made}`;

async function post(world: World, path: string, body: Body) {
  const { status, text, json } = await world.call('POST', path, { body });
  if (status !== 200 && status !== 201) throw new Error(`POST ${path} at ${world.mount}: ${status} ${text}`);
  return json['data'] ?? json;
}

/** Its path, by its id: every mode may have one of the name. */
async function newPkiRoot(world: World, name = freshMount()): Promise<string> {
  return `${ROOTS}/${(await post(world, ROOTS, { name })).root.id}`;
}

const shared = new WeakMap<World, Promise<string>>();

/** One of the world, where nothing is done to the root itself: there can be a hundred. */
export function pkiRootOf(world: World): Promise<string> {
  const known = shared.get(world);
  if (known) return known;
  const made = newPkiRoot(world);
  shared.set(world, made);
  return made;
}

async function newRole(world: World, verb?: string): Promise<string> {
  const root = await pkiRootOf(world);
  const { id } = await post(world, `${root}/roles`, { role_name: freshMount(), ...ROLE_FIELDS });
  return `${root}/${verb ?? 'roles'}/${id}`;
}

async function newCertificate(world: World): Promise<{ readonly root: string; readonly serial: string }> {
  const issue = await newRole(world, 'issue');
  const { serial_hex: serial } = await post(world, issue, { san_dns: [`a.${DOMAIN}`] });
  return { root: issue.split('/').slice(0, 5).join('/'), serial };
}

export const PKI_SAMPLES: Readonly<Record<string, RouteSample>> = {
  [`POST ${ROOTS}`]: {
    bodies: () => [
      { name: freshMount(), subject: { CN: 'Root', ...WHERE }, key_algorithm: 'ecdsa-p256' },
      { name: freshMount(), subject: { common_name: 'Root', ...WHERE_IN_LONG } },
      { name: freshMount(), subject: { state: 'Bayern' } },
    ],
  },
  [`GET ${ROOTS}/:name/cert`]: { path: async (world) => `${await pkiRootOf(world)}/cert` },
  [`GET ${ROOTS}/:name/crl`]: { path: async (world) => `${await pkiRootOf(world)}/crl` },
  [`POST ${ROOTS}/:name/rotate-intermediate`]: {
    path: async (world) => `${await pkiRootOf(world)}/rotate-intermediate`,
    bodies: () => [{}],
  },
  [`POST ${ROOTS}/:name/retire`]: {
    path: async (world) => `${await newPkiRoot(world)}/retire`,
    bodies: () => [{}],
  },
  [`GET ${ROOTS}/:name/roles`]: { path: async (world) => `${await pkiRootOf(world)}/roles` },
  [`POST ${ROOTS}/:name/roles`]: {
    path: async (world) => `${await pkiRootOf(world)}/roles`,
    bodies: () => [{ role_name: freshMount(), ...ROLE_FIELDS }],
  },
  [`PATCH ${ROOTS}/:name/roles/:role`]: {
    path: newRole,
    bodies: () => [{ role_name: freshMount(), ...ROLE_FIELDS }],
  },
  [`DELETE ${ROOTS}/:name/roles/:role`]: { path: newRole },
  [`POST ${ROOTS}/:name/issue/:role`]: {
    path: (world) => newRole(world, 'issue'),
    bodies: () => [
      {
        subject: { CN: `a.${DOMAIN}`, ...WHERE },
        san_dns: [`b.${DOMAIN}`],
        san_ip: ['10.0.0.9'],
        ttl_seconds: 600,
      },
      { subject: { common_name: `a.${DOMAIN}`, ...WHERE_IN_LONG } },
      { subject: { state: 'Bayern' }, san_dns: [DOMAIN] },
    ],
  },
  [`POST ${ROOTS}/:name/sign/:role`]: {
    path: (world) => newRole(world, 'sign'),
    bodies: () => [{ csr_pem: CSR_PEM, ttl_seconds: 600 }],
  },
  [`POST ${ROOTS}/:name/revoke`]: {
    path: async (world) => `${await pkiRootOf(world)}/revoke`,
    bodies: async (world) => [{ serial_hex: (await newCertificate(world)).serial, reason: 'keyCompromise' }],
  },
  [`GET ${ROOTS}/:name/certs`]: { path: async (world) => `${await pkiRootOf(world)}/certs` },
  [`GET ${ROOTS}/:name/certs/:serial`]: {
    async path(world) {
      const { root, serial } = await newCertificate(world);
      return `${root}/certs/${serial}`;
    },
  },
};

type Make = (world: World, name: string) => Promise<{ readonly list: string; readonly id: string }>;

/** Rows of which each mode may have one of the name. */
export const PKI_KINDS: Readonly<Record<string, { readonly make: Make }>> = {
  [ROOTS]: {
    make: async (world, name) => ({ list: ROOTS, id: (await post(world, ROOTS, { name })).root.id }),
  },
  [`${ROOTS}/:name/roles`]: {
    async make(world, name) {
      const list = `${await pkiRootOf(world)}/roles`;
      return { list, id: (await post(world, list, { role_name: name })).id };
    },
  },
  [`${ROOTS}/:name/certs`]: {
    async make(world) {
      const { root, serial } = await newCertificate(world);
      return { list: `${root}/certs`, id: serial };
    },
  },
};
