// Another peer of the comparison: what a Fastify user would take, over the same pool as the first one's.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import httpProxy from '@fastify/http-proxy';

const ofServer = createRequire(new URL('../packages/server/package.json', import.meta.url));
const { Pool } = ofServer('undici');
const { origin, servername, caFile } = JSON.parse(process.argv[2]);
// Its connections outlast the turns of the others.
const pool = new Pool(origin, {
  connect: { ca: readFileSync(caFile), servername },
  keepAliveTimeout: 60_000,
});

const server = ofServer('fastify')();
server.register(httpProxy, { upstream: origin, undici: pool });
await server.listen({ port: 0, host: '127.0.0.1' });
console.log(JSON.stringify({ port: server.server.address().port }));
