import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { installPackage } from './postgres.mjs';

/** Of other makers, which suites run against this server; each with its Debian package and the variable that may name another. */
const PROGRAMS = {
  // Stands before the server in the suites of client certificates.
  nginx: { debianPackage: 'nginx-light', variable: 'TEST_NGINX' },
  // The ACME client that most servers run.
  certbot: { debianPackage: 'certbot', variable: 'TEST_CERTBOT' },
  // Reads certificates, lists and OCSP as OpenSSL does, with other code: GnuTLS.
  certtool: { debianPackage: 'gnutls-bin' },
};

/**
 * A program that is named by its variable, else an installed one, else one from Debian packages where that is allowed.
 * `{ path }`, or `{ reason }` where there is none.
 */
export async function provideProgram(name) {
  const { debianPackage, variable } = PROGRAMS[name];
  const given = variable && process.env[variable]?.trim();
  if (given) return { path: given };
  const path = findBinary(name) ?? (await install(name, debianPackage));
  if (path) return { path };
  return { reason: `no ${name} is installed${variable ? ` and ${variable} is not set` : ''}` };
}

function findBinary(name) {
  return [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin']
    .map((dir) => join(dir, name))
    .find((path) => existsSync(path));
}

async function install(name, debianPackage) {
  const installed = await installPackage(debianPackage, `Installing ${name} from Debian packages`);
  return installed ? findBinary(name) : undefined;
}
