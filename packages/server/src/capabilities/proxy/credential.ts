import { isAppError } from '../../kernel/errors.js';
import type { Scope } from '../../kernel/ids.js';
import { MASK_TEXT, Secret } from '../../kernel/secret.js';
import type { DetokenizedValue } from '../redaction/index.js';
import type { SecretReference, Secrets, SecretUse } from '../secrets/index.js';
import { unsendableSecret, upstreamSecretNotFound } from './errors.js';

/** Which secret the upstream is called with, and how it stands in the head (dataplane.md §1.1, §3.1). */
export interface UpstreamCredential {
  readonly reference: SecretReference;
  /** In lower case. */
  readonly header: string;
  /** Before the value: a scheme with its space, or nothing. */
  readonly prefix: string;
}

/** A header of ours that goes upstream in the place of what the caller sent under its name. */
export interface CredentialHeader {
  readonly name: string;
  readonly value: Secret<string>;
}

export interface ReadCredential {
  readonly header: CredentialHeader;
  /** What the answer must not bring back and the log row not hold. */
  readonly guarded: DetokenizedValue;
  /** It has, and its expiry is not strict. */
  readonly isExpired: boolean;
}

/** RFC 9110 §5.5 without what is obsolete: what splits no head, and what every upstream reads alike. */
const FIELD_VALUE = /^[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?$/;

function isHeaderValue(text: string): boolean {
  return FIELD_VALUE.test(text);
}

/** Refused like a placeholder for the same secret: it must be bound to `host`. */
export async function readCredential(
  secrets: Pick<Secrets, 'resolve'>,
  scope: Scope,
  host: string,
  credential: UpstreamCredential,
): Promise<ReadCredential> {
  const { name, value, isExpired } = await namingTheHeader(async () =>
    secrets.resolve(scope, credential.reference, useFor(host)),
  );
  const text = value.reveal();
  if (!isHeaderValue(text)) throw unsendableSecret('holds what no header can hold');
  return {
    header: headerOf(credential, text),
    guarded: { value, token: `{{secret:${name}}}`, isGuarded: true },
    isExpired,
  };
}

/** The same refusals, and a mask in place of the value. */
export async function maskCredential(
  secrets: Pick<Secrets, 'check'>,
  scope: Scope,
  host: string,
  credential: UpstreamCredential,
): Promise<CredentialHeader> {
  await namingTheHeader(() => secrets.check(scope, credential.reference, useFor(host)));
  return headerOf(credential, MASK_TEXT);
}

function useFor(host: string): SecretUse {
  return { via: 'ephemeral', environment: null, host, isPlain: false };
}

function headerOf({ header, prefix }: UpstreamCredential, text: string): CredentialHeader {
  return { name: header, value: new Secret(prefix + text) };
}

async function namingTheHeader<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (isAppError(error, 'secret_not_found')) throw upstreamSecretNotFound();
    if (isAppError(error, 'validation_error')) throw unsendableSecret('names a certificate');
    throw error;
  }
}
