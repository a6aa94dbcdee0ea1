import { z } from 'zod';
import { LIMITS } from '../../../kernel/limits.js';

const VERSION = /^[1-9][0-9]{0,8}$/;

export const versionParams = z.object({
  version: z
    .string()
    .regex(VERSION, 'must be a whole number from 1')
    .transform(Number)
    .describe('Number of the version.'),
});

export const revokeBody = z.strictObject({
  confirm: z
    .string()
    .max(LIMITS.nameCharactersMax)
    .optional()
    .describe('The slug of the tenant; needed with `force`.'),
  force: z
    .boolean()
    .optional()
    .describe('True: revoke although stored secrets open with this version alone. They are lost for ever.'),
});

export const revokedResponse = z
  .object({ revoked: z.literal(true), version: z.number().int().positive() })
  .meta({ id: 'RevokedMasterKey' });
