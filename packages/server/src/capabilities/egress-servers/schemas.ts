import { z } from 'zod';
import { isoTime } from '../../kernel/clock.js';
import { LIMITS } from '../../kernel/limits.js';
import { Secret } from '../../kernel/secret.js';
import { EGRESS_SERVER_KINDS } from '../../platform/egress/egress.js';
import { instantText, orderQuery, pageQuery } from '../../platform/http/pagination.js';
import { fitsLogin } from './rules.js';
import type { EgressServerChanges, NewEgressServer } from './service.js';
import type { StoredEgressServer } from './store.js';

const id = z.string().min(1).max(64);
export const serverParams = z.object({ id: id.describe('Of an egress server.') });

const loginText = z
  .string()
  .min(1)
  .max(255)
  .refine((text) => !/[\p{Cc}\ud800-\udfff]/u.test(text), 'must not hold control characters')
  .refine(fitsLogin, 'must be at most 255 bytes of UTF-8');

const fields = {
  name: z
    .string()
    .min(1)
    .max(LIMITS.nameCharactersMax)
    .refine((text) => !/[\p{Cc}\ud800-\udfff]/u.test(text), 'must not hold control characters')
    .describe('For people; each once.'),
  kind: z
    .enum(EGRESS_SERVER_KINDS)
    .describe('`source_address`: an address of this machine that the operator has opened for the tenant.'),
  address: z
    .string()
    .min(1)
    .max(253)
    .describe('A DNS name or an IP address; judged like the host of a call, now and at each connection.')
    .meta({ examples: ['proxy.example.com'] }),
  port: z.number().int().min(1).max(65_535).nullable().describe('Null of `source_address`.'),
  username: loginText.nullable().describe('With `password`, where the server wants a login.'),
  password: loginText
    .nullable()
    .describe('Never shown again. Due again with another `kind`, `address` or `port`.'),
  failover_id: z
    .uuid()
    .toLowerCase()
    .nullable()
    .describe('The egress server that stands in where this one cannot be used.'),
  enabled: z.boolean().describe('False: passed over, as if it could not be used.'),
};

export const serverListQuery = z.object({
  ...pageQuery,
  sort: z.enum(['created_at', 'name']).default('created_at').describe('What the rows are ordered by.'),
  order: orderQuery,
});

const secret = (value: string | null) => (value === null ? null : new Secret(value));

export const createServerBody = z
  .strictObject({
    ...fields,
    port: fields.port.default(null),
    username: fields.username.default(null),
    password: fields.password.default(null),
    failover_id: fields.failover_id.default(null),
    enabled: fields.enabled.default(true),
  })
  .transform(
    ({ failover_id, password, ...terms }): NewEgressServer => ({
      ...terms,
      password: secret(password),
      failoverId: failover_id,
    }),
  );

export const updateServerBody = z
  .strictObject(fields)
  .partial()
  .refine((body) => Object.keys(body).length > 0, {
    error: 'must name at least one field to change',
    when: ({ issues }) => issues.length === 0,
  })
  .transform(
    ({ failover_id, password, ...terms }): EgressServerChanges => ({
      ...terms,
      failoverId: failover_id,
      password: password === undefined ? undefined : secret(password),
    }),
  );

export const testServerBody = z.strictObject({
  host: z
    .string()
    .min(1)
    .max(253)
    .regex(/^[A-Za-z0-9._:-]+$/, 'must be a DNS name, with a port where it is not 443')
    .describe('Where the tunnel is to lead; TLS is made with it, and nothing is sent.')
    .meta({ examples: ['api.example.com'] }),
});

export const defaultBody = z.strictObject({
  egress_server_id: fields.failover_id.describe('By which calls leave that name none; null: directly.'),
});

const rowId = z.string().meta({ format: 'uuid' });

export const serverResponse = z
  .object({
    id: rowId,
    name: z.string(),
    kind: z.enum(EGRESS_SERVER_KINDS),
    address: z.string(),
    port: z.number().int().nullable(),
    username: z.string().nullable(),
    has_password: z.boolean(),
    failover_id: rowId.nullable(),
    enabled: z.boolean(),
    sandbox: z.boolean().describe('True in test mode.'),
    created_at: instantText,
    updated_at: instantText,
  })
  .meta({ id: 'EgressServer' });

export const deletedResponse = z.object({ deleted: z.literal(true) }).meta({ id: 'Deleted' });

export const testedResponse = z
  .object({
    success: z.boolean(),
    response_time_ms: z.number().int(),
    error: z.string().optional().describe('Why there was no connection.'),
  })
  .meta({ id: 'EgressServerTested' });

export const defaultResponse = z
  .object({ egress_server_id: rowId.nullable().describe('Null: calls go directly.') })
  .meta({ id: 'EgressDefault' });

export function serverWire(server: StoredEgressServer): z.input<typeof serverResponse> {
  return {
    id: server.id,
    name: server.name,
    kind: server.kind,
    address: server.address,
    port: server.port,
    username: server.username,
    has_password: server.sealedPassword !== null,
    failover_id: server.failoverId,
    enabled: server.enabled,
    sandbox: server.scope.sandbox,
    created_at: isoTime(server.createdAtMs),
    updated_at: isoTime(server.updatedAtMs),
  };
}
