import { AppError } from '../../kernel/errors.js';
import type { AddressClass } from './egress.js';
import type { NameRefusal } from './name-policy.js';
import type { Resolution } from './resolver.js';

/** Public texts name the class of a refusal; addresses stand in `detail`, which is logged only (ssrf cases S119). */
export type AddressRefusal = Exclude<AddressClass, 'public'> | 'port_not_open' | 'too_many_addresses';

const NAME_TEXT: Record<NameRefusal, string> = {
  not_a_name: 'The host is not a DNS name',
  ip_literal: 'The host must be a DNS name, not an IP address',
  single_label: 'The host must have more than one label',
  internal_name: 'The host is a special-use or internal name',
  metadata_name: 'The host is a cloud metadata name',
  own_name: 'The host is one of this server',
};

const ADDRESS_TEXT: Record<AddressRefusal, string> = {
  loopback: 'The host resolves to a loopback address',
  private: 'The host resolves to a private address',
  link_local: 'The host resolves to a link-local address',
  metadata: 'The host resolves to a cloud metadata address',
  shared: 'The host resolves to a shared (carrier-grade NAT) address',
  multicast: 'The host resolves to a multicast address',
  reserved: 'The host resolves to a reserved address',
  unspecified: 'The host resolves to the unspecified address',
  embedded_ipv4: 'The host resolves to an IPv6 address that embeds an IPv4 address',
  own_listener: 'The host resolves to this server itself',
  port_not_open: 'The port is not open for the address that the host resolves to',
  too_many_addresses: 'The host resolves to too many addresses',
};

export const invalidProxyUrl = (publicMessage: string, reason = 'url'): AppError =>
  new AppError('invalid_proxy_url', publicMessage, { reason });

export const nameRefused = (refusal: NameRefusal): AppError => invalidProxyUrl(NAME_TEXT[refusal], refusal);

export function hostNotAllowed(hostname: string): AppError {
  return new AppError('egress_blocked', 'The host is not on the egress allowlist', {
    detail: hostname,
    reason: 'not_on_allowlist',
  });
}

export function addressRefused(refusal: AddressRefusal, detail: string): AppError {
  return new AppError('ssrf_blocked', ADDRESS_TEXT[refusal], {
    detail: `${refusal}: ${detail}`,
    reason: refusal,
  });
}

export function peerRefused(detail: string): AppError {
  return new AppError('ssrf_blocked', 'The connection led to an address that was not judged', {
    detail,
    reason: 'peer_not_judged',
  });
}

const DNS_TEXT = {
  no_such_name: 'The host name does not exist',
  no_address: 'The host name has no address',
  servers_failed: 'The host name could not be resolved',
} as const;

export function dnsFailure(hostname: string, resolution: Extract<Resolution, { kind: 'none' }>): AppError {
  return new AppError('dns_failure', DNS_TEXT[resolution.reason], {
    detail: `${hostname}: ${resolution.detail}`,
  });
}

export function upstreamTimeout(): AppError {
  return new AppError('upstream_timeout', 'The upstream did not answer in time');
}

export function upstreamSilent(): AppError {
  return new AppError('upstream_timeout', 'The stream was silent for too long');
}

export function upstreamUnreachable(
  publicMessage: string,
  cause: unknown,
  detail = messageOf(cause),
): AppError {
  return new AppError('upstream_unreachable', publicMessage, { detail, cause });
}

export const responseHeadersTooLarge = (cause?: unknown): AppError =>
  upstreamUnreachable('The response headers of the upstream are too large', cause, 'headers too large');

export const invalidAnswer = (cause: unknown): AppError =>
  upstreamUnreachable('The answer of the upstream is not valid HTTP', cause);

/** Reasons that a caller can act on, by OpenSSL's and Node's codes; they tell nothing of addresses. */
const TLS_REASONS: Record<string, string> = {
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not yet valid',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate comes from an unknown authority',
  UNABLE_TO_GET_ISSUER_CERT: 'its certificate comes from an unknown authority',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate comes from an unknown authority',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate comes from an unknown authority',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: 'it does not speak TLS 1.2 or newer',
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'it does not speak TLS 1.2 or newer',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'it asks for a client certificate',
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: 'it does not know the authority of the client certificate',
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: 'it refuses the client certificate as expired',
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED: 'it refuses the client certificate as revoked',
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: 'it refuses the client certificate',
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: 'it refuses the client certificate',
  ERR_SSL_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE: 'it refuses the client certificate',
  ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL: 'it does not speak HTTP/1.1',
};

export function tlsReasonOf(cause: unknown): string {
  return TLS_REASONS[codeOf(cause)] ?? 'the handshake failed';
}

export function upstreamTlsError(cause: unknown): AppError {
  return new AppError(
    'upstream_tls_error',
    `No trusted TLS connection to the upstream: ${tlsReasonOf(cause)}`,
    {
      detail: `${codeOf(cause)} ${messageOf(cause)}`.trim(),
      cause,
    },
  );
}

/** Ours, of which the upstream has seen nothing. */
export function unusableCertificate(cause: unknown): AppError {
  return new AppError('upstream_tls_error', 'The client certificate for the upstream cannot be used', {
    detail: `${codeOf(cause)} ${messageOf(cause)}`.trim(),
  });
}

export function certificateNeedsTls(): AppError {
  return new AppError(
    'upstream_tls_error',
    'A client certificate is set for this upstream, whose URL is http: and shows none',
  );
}

/** Never a reason to go directly (dataplane §8). */
export function egressUnavailable(detail: string): AppError {
  return new AppError('egress_unavailable', 'No egress server that is set for this call can be used', {
    detail,
  });
}

export function sourceNotOpen(): AppError {
  return invalidProxyUrl(
    'is not a source address that the operator has opened for this tenant',
    'source_address',
  );
}

export function unsendable(cause: unknown): AppError {
  return new AppError('validation_error', 'The request holds a method, path or header that cannot be sent', {
    detail: messageOf(cause),
    cause,
  });
}

export function bodyLengthMismatch(cause: unknown): AppError {
  return new AppError('validation_error', 'The request body is not as long as its content-length says', {
    cause,
  });
}

export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
