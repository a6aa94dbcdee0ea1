/** Names of long-lived credentials, in the form of `plainName` (kms-admin.md §1.1). */
const FORBIDDEN_NAMES: ReadonlySet<string> = new Set(
  [
    'access_key_id',
    'secret_access_key',
    'session_token',
    'aws_access_key_id',
    'aws_secret_access_key',
    'aws_session_token',
    'credentials',
    'credentials_json',
    'service_account_json',
    'service_account_key',
    'private_key',
    'private_key_id',
    'key_file',
    'client_secret',
    'client_certificate',
    'password',
  ].map(plainName),
);

/** An access key id of AWS, a PEM, a key file of Google: whatever the field is called. */
const FORBIDDEN_VALUES = [
  /(?:^|[^A-Z0-9])A[KS]IA[A-Z0-9]{12,}/,
  /-----BEGIN/,
  /\\?"type\\?"\s*:\s*\\?"service_account\\?"/,
];

const DEPTH_MAX = 16;
const MEMBERS_MAX = 1_000;

/**
 * The path of the first long-lived credential at any depth, never its value; null where there is none. What is too
 * deep or too large to look through counts as one: no configuration is.
 */
export function staticCredentialIn(value: unknown, path: string): string | null {
  let members = 0;
  function find(at: unknown, where: string, depth: number): string | null {
    if (++members > MEMBERS_MAX || depth > DEPTH_MAX) return where;
    if (typeof at === 'string') return FORBIDDEN_VALUES.some((pattern) => pattern.test(at)) ? where : null;
    if (at === null || typeof at !== 'object') return null;
    for (const [name, member] of Object.entries(at)) {
      const place = Array.isArray(at) ? `${where}[${name}]` : `${where}.${shownName(name)}`;
      if (!Array.isArray(at) && FORBIDDEN_NAMES.has(plainName(name))) return place;
      // A credential may be written as a name by mistake.
      const found = find(name, `${where} (a name in it)`, depth) ?? find(member, place, depth + 1);
      if (found !== null) return found;
    }
    return null;
  }
  return find(value, path, 0);
}

/** Of any case, with or without underscores: `clientSecret`, `CLIENT-SECRET` and `client_secret` are one name. */
function plainName(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '');
}

function shownName(name: string): string {
  return /^[A-Za-z0-9_-]{1,64}$/.test(name) ? name : '?';
}
