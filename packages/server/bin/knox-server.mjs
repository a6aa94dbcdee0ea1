#!/usr/bin/env node
import { existsSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';

const [major, minor] = process.versions.node.split('.').map(Number);
const main = new URL('../dist/app/main.js', import.meta.url);

// The bounds of "engines" in package.json: npm only warns of them.
if (major < 20 || (major === 20 && minor < 20) || major === 21 || (major === 22 && minor < 13)) {
  process.stderr.write(`knox-server needs Node 20.20 or 22.13 and later; this is ${process.versions.node}\n`);
  process.exit(1);
}
if (!existsSync(main)) {
  process.stderr.write('knox-server is not built yet: run "npm run up", or "npm ci && npm run build"\n');
  process.exit(1);
}
// V8 learns in the first seconds which objects live long, and allocates their kind as old from then on. Where that is an
// object of a call, each one keeps its whole call until the next full collection (docs/decisions/0043).
setFlagsFromString('--no-allocation-site-pretenuring');
await import(main.href);
