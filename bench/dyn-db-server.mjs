// A server whose leases are measured, and what is asked of it.
import { mkdirSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { startKnox } from './knox-server.mjs';

const PATH = '/v1/dyn-db-credentials';
const MINTED_AT_ONCE = 4;

/** `storeUrl` null = SQLite in a data directory of its own. */
export async function startLeaseServer(place, name, storeUrl = null) {
  const dataDir = join(place.dataDir, '..', `dyn-db-${name}`);
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const env = storeUrl === null ? {} : { DATABASE_URL: storeUrl };
  let knox = await startKnox({ ...place, dataDir, cpu: null, env });
  // As a client keeps its connections; the answers' own time is what is asked for.
  let agent = new Agent({ keepAlive: true });

  function ask(method, path, body) {
    const payload = body === undefined ? '' : JSON.stringify(body);
    const headers = { authorization: `Bearer ${knox.apiKey}`, 'content-length': Buffer.byteLength(payload) };
    if (payload !== '') headers['content-type'] = 'application/json';
    return new Promise((resolve, reject) => {
      const options = { port: knox.port, host: '127.0.0.1', agent, method, path: `${PATH}${path}`, headers };
      const call = request(options, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part) => {
          text += part;
        });
        response.on('end', () => {
          if (response.statusCode === 200) resolve(JSON.parse(text).data);
          else reject(new Error(`${method} ${path}: ${response.statusCode} ${text}`));
        });
      });
      call.on('error', reject).end(payload);
    });
  }

  return {
    dataDir,
    storeUrl,
    ask,
    list: () => ask('GET', '/leases?limit=20'),
    mint: (ttlSeconds = 3_600) => ask('POST', '/target/creds/reader', { ttl_seconds: ttlSeconds }),
    async mintMany(count, ttlSeconds = 3_600) {
      const minted = [];
      const lane = async () => {
        for (let left = count / MINTED_AT_ONCE; left > 0; left -= 1)
          minted.push(await ask('POST', '/target/creds/reader', { ttl_seconds: ttlSeconds }));
      };
      await Promise.all(Array.from({ length: MINTED_AT_ONCE }, lane));
      return minted;
    },
    async register(connection, { host, port, user, password, database }) {
      await ask('POST', '', {
        name: connection,
        engine: 'postgres',
        host,
        port,
        database_name: database,
        admin_username: user,
        admin_password: password,
        connect_options: { sslmode: 'disable' },
      });
    },
    addRole: (connection) => ask('POST', `/${connection}/roles`, { name: 'reader', template: 'readonly' }),
    async stop() {
      agent.destroy();
      await knox.stop();
    },
    async start() {
      knox = await startKnox({ ...place, dataDir, cpu: null, env });
      agent = new Agent({ keepAlive: true });
    },
  };
}
