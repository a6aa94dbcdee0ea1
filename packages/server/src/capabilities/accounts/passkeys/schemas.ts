import type { AuthenticationResponseJSON, RegistrationResponseJSON } from '@simplewebauthn/server';
import { z } from 'zod';
import { isoTime } from '../../../kernel/clock.js';
import { instantText } from '../../../platform/http/pagination.js';
import { cookieSwitch } from '../schemas.js';
import type { Passkey } from './store.js';

const CREDENTIAL_ID_CHARACTERS_MAX = 1_400;
const CLIENT_DATA_CHARACTERS_MAX = 4_096;
const AUTHENTICATOR_DATA_CHARACTERS_MAX = 8_192;
const SIGNATURE_CHARACTERS_MAX = 4_096;
const TRANSPORTS_MAX = 10;
const NAME_CHARACTERS_MAX = 100;
const MFA_TOKEN_CHARACTERS_MAX = 200;
/** An attestation may bring certificates of the maker. */
export const ENROLMENT_BYTES_MAX = 64 * 1024;

const base64url = (charactersMax: number) =>
  z
    .string()
    .max(charactersMax)
    .regex(/^[\w-]+$/);

/** What `PublicKeyCredential.toJSON()` gives (WebAuthn level 3 §5.1). */
const credential = {
  id: base64url(CREDENTIAL_ID_CHARACTERS_MAX),
  rawId: base64url(CREDENTIAL_ID_CHARACTERS_MAX),
  type: z.literal('public-key'),
  clientExtensionResults: z.record(z.string(), z.unknown()),
  authenticatorAttachment: z.enum(['platform', 'cross-platform']).nullable().optional(),
};

export const assertion = z
  .strictObject({
    ...credential,
    response: z.strictObject({
      clientDataJSON: base64url(CLIENT_DATA_CHARACTERS_MAX),
      authenticatorData: base64url(AUTHENTICATOR_DATA_CHARACTERS_MAX),
      signature: base64url(SIGNATURE_CHARACTERS_MAX),
      userHandle: base64url(SIGNATURE_CHARACTERS_MAX).nullable().optional(),
    }),
  })
  .describe('Of a passkey, as `PublicKeyCredential.toJSON()` gives it.');

const attestation = z
  .strictObject({
    ...credential,
    response: z.strictObject({
      clientDataJSON: base64url(CLIENT_DATA_CHARACTERS_MAX),
      attestationObject: base64url(ENROLMENT_BYTES_MAX),
      authenticatorData: base64url(AUTHENTICATOR_DATA_CHARACTERS_MAX).optional(),
      transports: z.array(z.string().max(32)).max(TRANSPORTS_MAX).optional(),
      publicKeyAlgorithm: z.int().optional(),
      publicKey: base64url(AUTHENTICATOR_DATA_CHARACTERS_MAX).nullable().optional(),
    }),
  })
  .describe('Of the new passkey, as `PublicKeyCredential.toJSON()` gives it.');

export const enrolPasskeyBody = z.object({
  name: z.string().trim().min(1).max(NAME_CHARACTERS_MAX).describe('By which the user knows it.'),
  response: attestation,
});

export const passkeySignInBody = z.object({ response: assertion, cookie: cookieSwitch });

export const passkeyDueBody = z.object({
  mfa_token: z.string().min(1).max(MFA_TOKEN_CHARACTERS_MAX).describe('From the sign-in.'),
});

export const passkeyParams = z.object({ id: z.uuid().toLowerCase().describe('Of the passkey.') });

/** For `PublicKeyCredential.parseCreationOptionsFromJSON`, or `parseRequestOptionsFromJSON`. */
export const ceremonyOptions = z
  .looseObject({ challenge: z.string().describe('Good once, for five minutes.') })
  .describe('Options of WebAuthn level 3 in their JSON form.');

const passkeyResponse = z.object({
  id: z.string(),
  name: z.string(),
  synced: z.boolean().describe('It may be on several devices of the user.'),
  created_at: instantText,
  last_used_at: instantText.nullable(),
});

export const passkeysResponse = z.object({ passkeys: z.array(passkeyResponse) });

export const passkeyEnrolledResponse = passkeyResponse.extend({
  recovery_codes: z
    .array(z.string())
    .nullable()
    .describe('Each is good once; shown this once. Null: those of before are good.'),
});

export function passkeyWire(passkey: Passkey): z.input<typeof passkeyResponse> {
  const { id, name, isSynced, createdAtMs, lastUsedAtMs } = passkey;
  return {
    id,
    name,
    synced: isSynced,
    created_at: isoTime(createdAtMs),
    last_used_at: lastUsedAtMs === null ? null : isoTime(lastUsedAtMs),
  };
}

/** The library's types leave out what is null in some browsers' JSON, which it takes as absent. */
export function assertionOf(sent: z.output<typeof assertion>): AuthenticationResponseJSON {
  return sent as AuthenticationResponseJSON;
}

export function attestationOf(sent: z.output<typeof attestation>): RegistrationResponseJSON {
  return sent as RegistrationResponseJSON;
}
