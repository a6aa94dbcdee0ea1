import { type AuthPlugin, authPlugins } from 'mysql2';

/** The message is the name of the method. */
export class MethodRefused extends Error {
  override readonly name = 'MethodRefused';
}

/** caching_sha2_password: the server has no cached digest, and wants the password itself. */
const FULL_AUTHENTICATION = 4;

/** How far the server at the other end of a log-in is known. */
export interface ServerTrust {
  /** Within TLS, chain and name verified. */
  readonly isVerified: boolean;
  /** Within TLS, and its certificate comes from the connection's own authority or is verified in full. */
  readonly isPinned: boolean;
}

/**
 * What a log-in may send (contract dyn-db.md §5.1). Digests that hold for one log-in: always. The password as it is: by
 * the cleartext method only to a server that is verified in full; by the two methods of MySQL that ask for it within TLS
 * also to one that the connection's own authority vouches for. Never under a key that the server sends along: it is
 * whoever's.
 */
export function authPluginsOf(
  { isVerified, isPinned }: ServerTrust,
  onCachedDigest: () => void,
): { [method: string]: AuthPlugin } {
  return {
    ...(isVerified ? {} : { mysql_clear_password: refuse('mysql_clear_password') }),
    ...(isPinned
      ? {}
      : {
          sha256_password: refuse('sha256_password'),
          caching_sha2_password: cachedDigestOnly(onCachedDigest),
        }),
  };
}

const refuse =
  (method: string): AuthPlugin =>
  () =>
  () => {
    throw new MethodRefused(method);
  };

const cachedDigestOnly =
  (onCachedDigest: () => void): AuthPlugin =>
  (metadata) => {
    onCachedDigest();
    const answer = authPlugins.caching_sha2_password({ overrideIsSecure: false })(metadata);
    return (data) => {
      if (data.length === 1 && data[0] === FULL_AUTHENTICATION) {
        throw new MethodRefused('caching_sha2_password');
      }
      return answer(data);
    };
  };
