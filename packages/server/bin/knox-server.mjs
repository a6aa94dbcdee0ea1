#!/usr/bin/env node
import { existsSync } from 'node:fs';

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
await import(main.href);
