import { describe, expect, it } from 'vitest';
import { Secret } from '../kernel/secret.js';
import { ownEndpoints } from './own-endpoints.js';

const listener = { address: '127.0.0.1', port: 8787 };

describe('own endpoints', () => {
  it('are the listeners alone where the data is in files', async () => {
    const storage = { kind: 'sqlite', path: 'a', logPath: 'b' } as const;
    expect(await ownEndpoints([listener], { storage, redisUrl: null })).toEqual([listener]);
  });

  it.each([
    ['postgres://u:p@10.1.2.3:5433/db', '10.1.2.3', 5433],
    ['postgres://u:p@10.1.2.3/db', '10.1.2.3', 5432],
    ['postgres://u:p@[fd00::1]:5433/db', 'fd00::1', 5433],
    // The driver goes where the query says.
    ['postgres://u:p@10.1.2.3/db?host=10.9.9.9&port=6432', '10.9.9.9', 6432],
    ['postgres:///db?host=/var/run/postgresql', '127.0.0.1', 5432],
    ['postgres://u:p@%2Fvar%2Frun%2Fpostgresql:5433/db', '127.0.0.1', 5433],
  ])('are where the driver of %s goes', async (url, address, port) => {
    const storage = { kind: 'postgres', url: new Secret(url), poolMax: 1 } as const;
    expect(await ownEndpoints([], { storage, redisUrl: null })).toEqual([{ address, port }]);
  });

  it.each([
    ['redis://10.1.2.3', '10.1.2.3', 6379],
    ['rediss://u:p@[fd00::1]:6380/0', 'fd00::1', 6380],
  ])('have the cache of %s', async (url, address, port) => {
    const storage = { kind: 'sqlite', path: 'a', logPath: 'b' } as const;
    expect(await ownEndpoints([], { storage, redisUrl: new Secret(url) })).toEqual([{ address, port }]);
  });
});
