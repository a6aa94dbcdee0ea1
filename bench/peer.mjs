// The peer of the comparison: plain HTTP in, HTTPS out with session reuse, in as few lines as undici allows.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';

const { Pool } = createRequire(new URL('../packages/server/package.json', import.meta.url))('undici');
const { origin, servername, caFile } = JSON.parse(process.argv[2]);
// Its connections outlast the turns of the others.
const pool = new Pool(origin, {
  connect: { ca: readFileSync(caFile), servername },
  keepAliveTimeout: 60_000,
});

const server = createServer((request, response) => {
  const { host, connection, ...headers } = request.headers;
  pool.stream(
    { method: request.method, path: request.url, headers, body: request },
    ({ statusCode, headers: answered }) => response.writeHead(statusCode, answered),
    (error) => error && response.destroy(),
  );
});
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: server.address().port })));
