import { z } from 'zod';
import { isoSeconds, isoTime } from '../../kernel/clock.js';
import type { Scope } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { instantText, secondText } from '../../platform/http/pagination.js';
import type { Authority } from '../authorities/index.js';
import { nameText, pem } from '../x509/index.js';

export const rootParams = z.object({
  name: z.string().min(1).max(LIMITS.nameCharactersMax).describe('Name or id of the root.'),
});

export const rootResponse = z
  .object({
    id: z.string().meta({ format: 'uuid' }),
    tenant_id: z.string().meta({ format: 'uuid' }),
    name: z
      .string()
      .describe('`_clients` is the authority behind client credentials: reserved, and only to be read.'),
    cert_pem: z.string(),
    subject: z.string().describe('As RFC 4514 writes it.'),
    subject_fields: z.record(z.string(), z.string()).nullable(),
    not_before: secondText,
    not_after: secondText,
    status: z.enum(['active', 'retired', 'revoked']),
    created_at: instantText,
    sandbox: z.boolean().describe('True in test mode.'),
  })
  .meta({ id: 'CaRoot' });

export const certificatesText = z.string().describe('Certificates in PEM.');
export const listsText = z
  .string()
  .describe('Revocation lists in PEM: of the active issuing authority first, of the root last.');

export function rootWire({ tenantId, sandbox }: Scope, root: Authority): z.input<typeof rootResponse> {
  return {
    id: root.id,
    tenant_id: tenantId,
    name: root.name,
    cert_pem: pem('CERTIFICATE', root.certificate),
    subject: nameText(root.subject),
    subject_fields: Object.fromEntries(root.subject),
    not_before: isoSeconds(root.notBeforeMs),
    not_after: isoSeconds(root.notAfterMs),
    status: root.status,
    created_at: isoTime(root.createdAtMs),
    sandbox,
  };
}
