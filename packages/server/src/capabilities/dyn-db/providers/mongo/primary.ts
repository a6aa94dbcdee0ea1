import type { Document } from 'mongodb';
import { databaseError, targetUnavailable } from '../../errors.js';
import type { DatabaseAddress } from '../../transports/transport.js';

const HOST_CHARACTERS_MAX = 253;

/** Where `hello` says that the primary of the set is: null = where it was asked. Nothing of it is dialled unjudged. */
export function primaryOf(hello: Document, replicaSet: string): DatabaseAddress | null {
  if (hello.setName !== replicaSet)
    throw databaseError(
      'replicaSet',
      `the server is no member of a replica set named ${JSON.stringify(replicaSet)}`,
    );
  if (hello.isWritablePrimary === true) return null;
  if (typeof hello.primary !== 'string')
    throw targetUnavailable('the replica set has no primary at the moment');
  const address = parseMember(hello.primary);
  if (!address) throw databaseError('replicaSet', 'the server names a primary that is no host with a port');
  return address;
}

function parseMember(text: string): DatabaseAddress | null {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain ?? '';
  const port = Number(digits);
  return host !== '' && host.length <= HOST_CHARACTERS_MAX && port >= 1 && port <= 65_535
    ? { host, port }
    : null;
}
