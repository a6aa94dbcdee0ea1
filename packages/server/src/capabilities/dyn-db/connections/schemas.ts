import { z } from 'zod';
import { isoTime } from '../../../kernel/clock.js';
import { LIMITS } from '../../../kernel/limits.js';
import { Secret } from '../../../kernel/secret.js';
import { instantText } from '../../../platform/http/pagination.js';
import { ENGINES, type EngineName, SSL_MODES } from '../providers/engine.js';
import {
  definedOnly,
  maxLiveLeases,
  NAMES_A_FIELD,
  resourceName,
  storedTtl,
  usernameTemplate,
} from '../schemas.js';
import { PREFLIGHT_STEPS, type Preflight } from './preflight.js';
import type { ConnectionChanges, NewConnection } from './service.js';
import type { Connection } from './store.js';

/** dyn-db.md §1. */
const ENGINE_NAMES = [...ENGINES, 'mongodb'] as const;
const MODES = ['direct', 'agent_tunnel', 'agent', 'ssh_tunnel', 'iam'] as const;
const OTHER_MODES = {
  agent_id: z.null('is of the execution mode agent_tunnel, which is not there yet').optional(),
  ssh_host: z.null('is of the execution mode ssh_tunnel, which is not there yet').optional(),
  ssh_port: z.null('is of the execution mode ssh_tunnel, which is not there yet').optional(),
  ssh_username: z.null('is of the execution mode ssh_tunnel, which is not there yet').optional(),
  ssh_private_key: z.null('is of the execution mode ssh_tunnel, which is not there yet').optional(),
  ssh_passphrase: z.null('is of the execution mode ssh_tunnel, which is not there yet').optional(),
  ssh_host_fingerprint: z.null('is of the execution mode ssh_tunnel, which is not there yet').optional(),
  iam_region: z.null('is of the execution mode iam, which is not there yet').optional(),
  iam_db_user: z.null('is of the execution mode iam, which is not there yet').optional(),
};

const host = z
  .string()
  .min(1, 'must not be empty')
  .max(LIMITS.nameCharactersMax)
  .describe('A name or an address; private ones too, as far as the operator allows.')
  .meta({ examples: ['db.example.com'] });
const port = z
  .int('must be a whole number')
  .min(1, 'must be 1 to 65535')
  .max(65_535, 'must be 1 to 65535')
  .nullable()
  .describe('Null: 5432, 3306 or 27017.');
const databaseName = z
  .string()
  .min(1)
  .max(63)
  .nullable()
  .describe('Null: `postgres`; of mysql every schema; of mongo `admin`.');
const adminUsername = z.string().min(1, 'must not be empty').max(128);
const adminPassword = z
  .string()
  .min(1, 'must not be empty')
  .max(1_024)
  .describe('Of a user that may create users. Never shown again.');

const timeout = (max: number) => z.int().min(1_000).max(max).optional();
const connectOptions = z
  .strictObject({
    sslmode: z
      .enum(SSL_MODES, `must be one of ${SSL_MODES.join(', ')}`)
      .optional()
      .describe('As of libpq, for every engine; absent: `require`.'),
    ssl_ca: z
      .string()
      .max(LIMITS.dbTlsCaCharactersMax)
      .optional()
      .describe('Authorities that vouch for the server, PEM; absent: those of the system.'),
    connect_timeout_ms: timeout(LIMITS.dbConnectTimeoutMsMax).describe('Absent: 10,000.'),
    statement_timeout_ms: timeout(LIMITS.dbStatementTimeoutMsMax).describe('Absent: 30,000.'),
    authSource: z.string().min(1).max(63).optional().describe('Of mongo; absent: the database.'),
    replicaSet: z
      .string()
      .min(1)
      .max(63)
      .optional()
      .describe('Of mongo; absent: one server, and the members that it advertises are ignored.'),
    tls: z.boolean().optional().describe('Another way to say `sslmode` `require` or `disable`.'),
  })
  .describe('How it is connected to.');

const ttls = {
  default_ttl_seconds: storedTtl.describe('Of a mint that asks for none.'),
  max_ttl_seconds: storedTtl.describe('A mint that asks for more is given this.'),
};

export const createConnectionBody = z
  .strictObject({
    name: resourceName
      .describe('Unique among the connections of a mode; stands in paths.')
      .meta({ examples: ['orders'] }),
    engine: z
      .enum(ENGINE_NAMES, `must be one of ${ENGINES.join(', ')}`)
      .describe('`mongodb` is taken for `mongo`.'),
    host,
    port: port.default(null),
    database_name: databaseName.default(null),
    admin_username: adminUsername,
    admin_password: adminPassword,
    execution_mode: z
      .enum(MODES, 'must be direct')
      .refine((mode) => mode === 'direct', 'must be direct: the other modes come in a later version')
      .default('direct')
      .describe('`direct`: the server dials the database. The others are not there yet.'),
    default_ttl_seconds: ttls.default_ttl_seconds.default(3_600),
    max_ttl_seconds: ttls.max_ttl_seconds.default(86_400),
    connect_options: connectOptions.default({}),
    username_template: usernameTemplate.default(null),
    max_live_leases: maxLiveLeases.default(null),
    ...OTHER_MODES,
  })
  .meta({ id: 'DynDbConnectionInput' });

export function newConnectionOf(body: z.output<typeof createConnectionBody>): NewConnection {
  return {
    name: body.name,
    engine: engineOf(body.engine),
    host: body.host,
    port: body.port,
    databaseName: body.database_name,
    adminUsername: body.admin_username,
    adminPassword: new Secret(body.admin_password),
    connectOptions: body.connect_options,
    defaultTtlSeconds: body.default_ttl_seconds,
    maxTtlSeconds: body.max_ttl_seconds,
    usernameTemplate: body.username_template,
    maxLiveLeases: body.max_live_leases,
  };
}

function engineOf(name: (typeof ENGINE_NAMES)[number]): EngineName {
  return name === 'mongodb' ? 'mongo' : name;
}

export const updateConnectionBody = z
  .strictObject({
    host: host.optional(),
    port: port.optional(),
    database_name: databaseName.optional(),
    admin_username: adminUsername.optional(),
    admin_password: adminPassword.optional(),
    ...z.object(ttls).partial().shape,
    connect_options: connectOptions.optional().describe('In place of all that it had.'),
    username_template: usernameTemplate.optional(),
    max_live_leases: maxLiveLeases.optional(),
    enabled: z.boolean().optional().describe('False: no mints. Leases end all the same.'),
    agent_id: OTHER_MODES.agent_id,
  })
  .refine((body) => Object.keys(body).length > 0, NAMES_A_FIELD);

export function connectionChangesOf(body: z.output<typeof updateConnectionBody>): ConnectionChanges {
  return definedOnly({
    host: body.host,
    port: body.port,
    databaseName: body.database_name,
    adminUsername: body.admin_username,
    adminPassword: body.admin_password === undefined ? undefined : new Secret(body.admin_password),
    defaultTtlSeconds: body.default_ttl_seconds,
    maxTtlSeconds: body.max_ttl_seconds,
    connectOptions: body.connect_options,
    usernameTemplate: body.username_template,
    maxLiveLeases: body.max_live_leases,
    enabled: body.enabled,
  });
}

export const rotateSshKeyBody = z.strictObject({
  ssh_private_key: z.string().min(1).max(16_384),
  ssh_passphrase: z.string().max(1_024).nullable().optional(),
  ssh_host_fingerprint: z.string().max(255).nullable().optional(),
});

export const testConnectionBody = z.strictObject({
  role: resourceName
    .nullable()
    .default(null)
    .describe('Tries the statements of this role alone; null: of every role.'),
});

const ofOtherModes = z.null().describe('Of an execution mode that is not there yet.');

export const connectionResponse = z
  .object({
    id: z.string(),
    name: z.string(),
    engine: z.enum(ENGINES),
    host: z.string(),
    port: z.number().nullable(),
    database_name: z.string().nullable(),
    admin_username: z.string(),
    execution_mode: z.enum(['direct']),
    agent_id: ofOtherModes,
    default_ttl_seconds: z.number(),
    max_ttl_seconds: z.number(),
    connect_options: connectOptions,
    username_template: z.string().nullable(),
    max_live_leases: z.number().nullable(),
    enabled: z.boolean(),
    ssh_host: ofOtherModes,
    ssh_port: ofOtherModes,
    ssh_username: ofOtherModes,
    iam_region: ofOtherModes,
    iam_db_user: ofOtherModes,
    created_at: instantText,
    updated_at: instantText,
  })
  .meta({ id: 'DynDbConnection' });

export function connectionWire(connection: Connection): z.input<typeof connectionResponse> {
  return {
    id: connection.id,
    name: connection.name,
    engine: connection.engine,
    host: connection.host,
    port: connection.port,
    database_name: connection.databaseName,
    admin_username: connection.adminUsername,
    execution_mode: connection.executionMode,
    agent_id: null,
    default_ttl_seconds: connection.defaultTtlSeconds,
    max_ttl_seconds: connection.maxTtlSeconds,
    connect_options: connection.connectOptions,
    username_template: connection.usernameTemplate,
    max_live_leases: connection.maxLiveLeases,
    enabled: connection.enabled,
    ssh_host: null,
    ssh_port: null,
    ssh_username: null,
    iam_region: null,
    iam_db_user: null,
    created_at: isoTime(connection.createdAtMs),
    updated_at: isoTime(connection.updatedAtMs),
  };
}

export const createdConnectionResponse = connectionResponse
  .pick({ id: true, name: true, engine: true, execution_mode: true })
  .meta({ id: 'DynDbConnectionCreated' });

export const rotatedResponse = z
  .object({ rotated: z.string().describe('Name of the connection.') })
  .meta({ id: 'DynDbRotated' });

export const preflightResponse = z
  .object({
    ok: z.boolean(),
    latency_ms: z.number().describe('Of all steps together.'),
    server_version: z.string().nullable().describe('Null: nobody could log in.'),
    steps: z.array(
      z.object({
        step: z.enum(PREFLIGHT_STEPS),
        ok: z.boolean(),
        ms: z.number(),
        role: z.string().optional().describe('Of a probe: whose statements were run.'),
        error: z.string().optional(),
        hint: z.string().optional().describe('What would help, as one writes it.'),
      }),
    ),
    error: z.string().nullable().describe('That of the first step that failed.'),
    warnings: z.array(z.string()).describe('What will go wrong later.'),
  })
  .meta({ id: 'DynDbPreflight' });

export function preflightWire(preflight: Preflight): z.input<typeof preflightResponse> {
  return {
    ok: preflight.ok,
    latency_ms: preflight.latencyMs,
    server_version: preflight.serverVersion,
    steps: [...preflight.steps],
    error: preflight.error,
    warnings: [...preflight.warnings],
  };
}

export const orphansResponse = z
  .object({
    orphans: z
      .array(z.string())
      .describe(
        'Users named `kc_user_…` of no live lease. Nothing is dropped: another installation may have made them.',
      ),
  })
  .meta({ id: 'DynDbOrphans' });
