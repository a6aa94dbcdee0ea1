import { z } from 'zod';
import { isoSeconds } from '../../kernel/clock.js';
import { LIMITS } from '../../kernel/limits.js';
import { orderQuery, pageQuery, secondText } from '../../platform/http/pagination.js';
import type { IssuedCertificate } from '../authorities/index.js';
import { pem } from '../x509/index.js';
import type { Certified, Issued } from './certificates.js';
import { readReason } from './reasons.js';
import { rootParams, subject } from './schemas.js';

/** Serials are 20 octets at most (RFC 5280 §4.1.2.2); openssl shows them with colons. */
const SERIAL_CHARACTERS_MAX = 64;
const serialHex = z
  .string()
  .min(1)
  .max(SERIAL_CHARACTERS_MAX)
  .transform((text, context) => {
    const serial = text.replaceAll(':', '').toLowerCase();
    if (/^[0-9a-f]{1,40}$/.test(serial)) return serial;
    context.addIssue({ code: 'custom', message: 'must be a serial number in hex' });
    return z.NEVER;
  });

export const certificateParams = z.object({
  ...rootParams.shape,
  serial: z.string().min(1).max(LIMITS.nameCharactersMax).describe('Of a certificate, in hex.'),
});

const ttlSeconds = z
  .number()
  .int()
  .min(1)
  .optional()
  .describe('By default that of the role; cut to what role and issuing authority allow.');

/** Of a text that no name or address is longer than, before it is read. */
const NAME_CHARACTERS_MAX = 255;
const nameText = z.string().min(1).max(NAME_CHARACTERS_MAX);

export const issueBody = z
  .strictObject({
    subject: subject.default({}).describe('What is left out of C, ST, L and O is as in the root.'),
    san_dns: z
      .array(nameText)
      .max(LIMITS.pkiNamesMax)
      .default([])
      .describe('DNS names; a CN that is one is added.')
      .meta({ examples: [['api.example.internal']] }),
    san_ip: z
      .array(nameText)
      .max(LIMITS.pkiNamesMax)
      .default([])
      .describe('IPv4 and IPv6 addresses; a CN that is one is added.'),
    ttl_seconds: ttlSeconds,
  })
  .transform(({ subject, san_dns, san_ip, ttl_seconds }) => ({
    subject,
    dns: san_dns,
    ips: san_ip,
    ttlSeconds: ttl_seconds,
  }));

export const signBody = z
  .strictObject({
    csr_pem: z
      .string()
      .min(1)
      .max(LIMITS.csrCharactersMax)
      .describe('A certificate signing request (PKCS #10) in PEM. Its names are judged by the role.'),
    ttl_seconds: ttlSeconds,
  })
  .transform(({ csr_pem, ttl_seconds }) => ({ csr: csr_pem, ttlSeconds: ttl_seconds }));

export const revokeBody = z
  .strictObject({
    serial_hex: serialHex.describe('Of the certificate; colons and case do not matter.'),
    reason: z
      .string()
      .min(1)
      .max(LIMITS.revocationReasonCharactersMax)
      .refine((text) => !/\p{Cc}/u.test(text), 'must not hold control characters')
      .optional()
      .describe('One of RFC 5280, as `keyCompromise` or `key_compromise`; other words are kept.'),
  })
  .transform(({ serial_hex, reason }) => ({ serial: serial_hex, ...readReason(reason) }));

const certified = {
  serial_hex: z.string().describe('In lower case.'),
  cert_pem: z.string(),
  ca_chain_pem: z.string().describe('The issuing certificate; the root is what verifiers have.'),
  not_before: secondText,
  not_after: secondText,
};

export const issuedResponse = z
  .object({
    ...certified,
    private_key_pem: z
      .string()
      .nullable()
      .describe('PKCS#8, in this one answer: it is stored nowhere, so it is null in a replay.'),
  })
  .meta({ id: 'IssuedCertificate' });

export const signedResponse = z.object(certified).meta({ id: 'SignedCertificate' });
export const revokedResponse = z.object({ revoked: z.boolean() }).meta({ id: 'RevokedCertificate' });

export const certificateListQuery = z.object({
  ...pageQuery,
  sort: z.literal('created_at').default('created_at').describe('The one order there is.'),
  order: orderQuery,
  status: z
    .enum(['active', 'revoked', 'expired'])
    .optional()
    .describe('Only these; `expired` ended without having been revoked.'),
});

const row = {
  serial_hex: z.string(),
  subject: z.string().describe('As RFC 4514 writes it.'),
  san_dns: z.array(z.string()),
  san_ip: z.array(z.string()),
  role: z.string().nullable().describe('Its name when the certificate was made.'),
  not_before: secondText,
  not_after: secondText,
  revoked_at: secondText.nullable(),
  reason: z
    .string()
    .nullable()
    .describe('Of the revocation: a name of RFC 5280, or the words that were given.'),
};

export const certificateRow = z.object(row).meta({ id: 'CertificateRow' });
export const certificateResponse = z.object({ ...row, cert_pem: z.string() }).meta({ id: 'Certificate' });

function certifiedWire({ certificate, chainPem }: Certified) {
  return {
    serial_hex: certificate.serial,
    cert_pem: pem('CERTIFICATE', certificate.der),
    ca_chain_pem: chainPem,
    not_before: isoSeconds(certificate.notBeforeMs),
    not_after: isoSeconds(certificate.notAfterMs),
  };
}

export const signedWire = certifiedWire;

export function issuedWire(issued: Issued): z.input<typeof issuedResponse> {
  return { ...certifiedWire(issued), private_key_pem: issued.privateKeyPem.reveal() };
}

export function certificateRowWire(one: IssuedCertificate): z.input<typeof certificateRow> {
  return {
    serial_hex: one.serial,
    subject: one.subject,
    san_dns: [...one.dns],
    san_ip: [...one.ips],
    role: one.role?.name ?? null,
    not_before: isoSeconds(one.notBeforeMs),
    not_after: isoSeconds(one.notAfterMs),
    revoked_at: one.revokedAtMs === null ? null : isoSeconds(one.revokedAtMs),
    reason: one.revokedAtMs === null ? null : (one.reasonText ?? one.reason),
  };
}

export function certificateWire(one: IssuedCertificate): z.input<typeof certificateResponse> {
  return { ...certificateRowWire(one), cert_pem: pem('CERTIFICATE', one.der) };
}
