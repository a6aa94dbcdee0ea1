import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { installPackage } from './postgres.mjs';

/**
 * The nginx that stands before the server in the suites of client certificates: the one of TEST_NGINX, else an installed
 * one, else from Debian packages where that is allowed. `{ path }`, or `{ reason }` where there is none.
 */
export async function provideNginx() {
  const given = process.env.TEST_NGINX?.trim();
  if (given) return { path: given };
  const path = findBinary() ?? (await install());
  return path ? { path } : { reason: 'no nginx is installed and TEST_NGINX is not set' };
}

function findBinary() {
  return [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin']
    .map((dir) => join(dir, 'nginx'))
    .find((path) => existsSync(path));
}

async function install() {
  const installed = await installPackage('nginx-light', 'Installing nginx from Debian packages');
  return installed ? findBinary() : undefined;
}
