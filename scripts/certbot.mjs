import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { installPackage } from './postgres.mjs';

/**
 * The ACME client that most servers run: the one of TEST_CERTBOT, else an installed one, else from Debian packages where that is
 * allowed. `{ path }`, or `{ reason }` where there is none.
 */
export async function provideCertbot() {
  const given = process.env.TEST_CERTBOT?.trim();
  if (given) return { path: given };
  const path = findBinary() ?? (await install());
  return path ? { path } : { reason: 'no certbot is installed and TEST_CERTBOT is not set' };
}

function findBinary() {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .map((dir) => join(dir, 'certbot'))
    .find((path) => existsSync(path));
}

async function install() {
  const installed = await installPackage('certbot', 'Installing certbot from Debian packages');
  return installed ? findBinary() : undefined;
}
