import { z } from 'zod';
import { isoTime } from '../../kernel/clock.js';
import { LIMITS } from '../../kernel/limits.js';
import { instantText, orderQuery, pageQuery } from '../../platform/http/pagination.js';
import { NETWORK_CHARACTERS_MAX, readNetwork } from './network.js';
import type { ClientDetail, NewClient } from './service.js';
import type { Client, ClientTerms } from './store.js';
import { CLIENT_TYPES } from './tables.js';

export const id = z.string().min(1).max(64);
export const rowId = z.string().meta({ format: 'uuid' });
export const clientParams = z.object({ id: id.describe('Of a client.') });

/** One line for people, which a certificate may have as its name. */
export const shortText = z
  .string()
  .min(1)
  .max(LIMITS.nameCharactersMax)
  .refine((text) => !/\p{Cc}/u.test(text), 'must not hold control characters');

export const networkText = z
  .string()
  .max(NETWORK_CHARACTERS_MAX)
  .superRefine((text, context) => {
    const reading = readNetwork(text);
    if ('problem' in reading) context.addIssue({ code: 'custom', message: reading.problem });
  });

const type = z.enum(CLIENT_TYPES, `must be ${CLIENT_TYPES.join(' or ')}`);

const fields = {
  name: shortText.describe('For people; also the name in certificates that are issued.'),
  type: type.describe('A label: nothing follows from it.'),
  ip_address: z
    .union([z.literal(''), networkText])
    .describe(
      'Address or CIDR range that the client calls from; empty: none, as of a client known by certificates.',
    )
    .meta({ examples: ['203.0.113.0/24'] }),
  ip_notes: z
    .record(z.string(), z.unknown())
    .refine(
      (notes) => Buffer.byteLength(JSON.stringify(notes)) <= LIMITS.clientNotesBytesMax,
      `must have at most ${LIMITS.clientNotesBytesMax} bytes as JSON`,
    )
    .describe(`Yours; at most ${LIMITS.clientNotesBytesMax} bytes of JSON.`),
  description: z.string().max(LIMITS.descriptionCharactersMax).nullable().describe('For people.'),
  enabled: z.boolean().describe('False: none of its credentials lets anybody in.'),
  collection_id: z.uuid().toLowerCase().nullable().describe('Yours, to group clients by.'),
  signing_secret_id: z
    .uuid()
    .toLowerCase()
    .nullable()
    .describe('Of a secret of the type string, with which its calls are signed on routes that require it.'),
};

export const clientListQuery = z.object({
  ...pageQuery,
  sort: z
    .enum(['created_at', 'name', 'type', 'ip_address'])
    .default('created_at')
    .describe('What the rows are ordered by.'),
  order: orderQuery,
  type: type.optional().describe('Only these.'),
});

export const createClientBody = z
  .strictObject({
    name: fields.name,
    type: fields.type.default('server'),
    ip_address: fields.ip_address.default(''),
    ip_notes: fields.ip_notes.default({}),
    description: fields.description.default(null),
    signing_secret_id: fields.signing_secret_id.default(null),
  })
  .transform(
    ({ ip_address, ip_notes, signing_secret_id, ...rest }): NewClient => ({
      ...rest,
      signingSecretId: signing_secret_id,
      ipAddress: ip_address,
      ipNotes: ip_notes,
    }),
  );

export const updateClientBody = z
  .strictObject(fields)
  .partial()
  .refine((body) => Object.keys(body).length > 0, {
    error: 'must name at least one field to change',
    when: ({ issues }) => issues.length === 0,
  })
  .transform(
    ({ ip_address, ip_notes, collection_id, signing_secret_id, ...rest }) =>
      ({
        ...rest,
        ...(ip_address !== undefined && { ipAddress: ip_address }),
        ...(ip_notes !== undefined && { ipNotes: ip_notes }),
        ...(collection_id !== undefined && { collectionId: collection_id }),
        ...(signing_secret_id !== undefined && { signingSecretId: signing_secret_id }),
      }) satisfies Partial<ClientTerms>,
  );

const row = {
  id: rowId,
  name: z.string(),
  type,
  ip_address: z.string().describe('As it was sent; empty: none.'),
  ip_notes: z.record(z.string(), z.unknown()),
  description: z.string().nullable(),
  enabled: z.boolean(),
  collection_id: rowId.nullable(),
  signing_secret_id: rowId.nullable(),
  created_at: instantText,
  updated_at: instantText,
};

const routeAssignment = z.object({
  route_id: z.string(),
  route_name: z.string().nullable().describe('Null of a route that is being deleted.'),
  environment_name: z.string(),
});

const ofAgents = z.null().describe('Of an agent, which this version has not: null.');

export const clientRowResponse = z.object(row).meta({ id: 'ClientRow' });

export const clientDetailResponse = z
  .object({ ...row, route_assignments: z.array(routeAssignment).describe('Where it may call.') })
  .meta({ id: 'ClientDetail' });

const wholeRow = {
  ...row,
  tenant_id: rowId,
  created_by: z.string().nullable().describe('Row id of the user, key or client that made it.'),
  agent_version: ofAgents,
  agent_os: ofAgents,
  agent_arch: ofAgents,
  agent_hostname: ofAgents,
  agent_last_seen: ofAgents,
  agent_mode: ofAgents,
};

export const clientResponse = z.object(wholeRow).meta({ id: 'Client' });

export const createdClientResponse = z
  .object({
    ...wholeRow,
    route_assignments: z.array(routeAssignment).describe('Empty: a new client may call nowhere.'),
  })
  .meta({ id: 'CreatedClient' });

export const deletedResponse = z.object({ deleted: z.literal(true) }).meta({ id: 'Deleted' });

export function clientRowWire(client: Client) {
  return {
    id: client.id,
    name: client.name,
    type: client.type,
    ip_address: client.ipAddress,
    ip_notes: client.ipNotes,
    description: client.description,
    enabled: client.enabled,
    collection_id: client.collectionId,
    signing_secret_id: client.signingSecretId,
    created_at: isoTime(client.createdAtMs),
    updated_at: isoTime(client.updatedAtMs),
  };
}

export function clientDetailWire(client: ClientDetail) {
  return {
    ...clientRowWire(client),
    route_assignments: client.assignments.map(({ routeId, routeName, environment }) => ({
      route_id: routeId,
      route_name: routeName,
      environment_name: environment,
    })),
  };
}

export function clientWire(client: Client) {
  return {
    ...clientRowWire(client),
    tenant_id: client.scope.tenantId,
    created_by: client.createdBy,
    agent_version: null,
    agent_os: null,
    agent_arch: null,
    agent_hostname: null,
    agent_last_seen: null,
    agent_mode: null,
  };
}
