import type { Document } from 'mongodb';

/** What the admin may do, as `connectionStatus` tells it; null where the server does not tell. */
export interface Privileges {
  may(action: string, database: string): boolean;
  mayOnCluster(action: string): boolean;
}

export function readPrivileges(connectionStatus: Document): Privileges | null {
  const told: unknown = connectionStatus.authInfo?.authenticatedUserPrivileges;
  if (!Array.isArray(told) || told.length === 0) return null;
  const has = (action: string, matches: (resource: Document) => boolean) =>
    told.some(
      (privilege: Document | null) =>
        Array.isArray(privilege?.actions) &&
        privilege.actions.includes(action) &&
        (privilege.resource?.anyResource === true || matches(privilege.resource ?? {})),
    );
  return {
    // Users belong to a database as a whole; an empty name stands for every one.
    may: (action, database) =>
      has(action, ({ db, collection }) => collection === '' && (db === '' || db === database)),
    mayOnCluster: (action) => has(action, ({ cluster }) => cluster === true),
  };
}

/** What making and dropping a user of a role in that database takes, in words of `createUser`'s documentation. */
export const USER_ACTIONS = ['createUser', 'dropUser', 'grantRole'] as const;
