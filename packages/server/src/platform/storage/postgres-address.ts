import pg from 'pg';

/**
 * Where the driver goes by such a URL: it also reads `?host=` and `?port=`, PGHOST and PGPORT, and has defaults. A host
 * that begins with `/` is the folder of a socket file.
 */
export function postgresAddress(url: string): { readonly address: string; readonly port: number } {
  const { host, port } = new pg.Client({ connectionString: url });
  return { address: host, port };
}
