import { z } from 'zod';
import { cookieSwitch, loginBody } from '../schemas.js';

const TOKEN_CHARACTERS_MAX = 200;

export const magicLinkBody = loginBody.pick({ email: true });

export const magicLinkResponse = z.object({
  accepted: z.literal(true).describe('Whether or not an account has the address.'),
  expires_in: z.number().describe('Seconds for which the link is good.'),
});

export const verifyLinkBody = z.object({
  token: z.string().min(1).max(TOKEN_CHARACTERS_MAX).describe('From the mailed link.'),
  cookie: cookieSwitch,
});
