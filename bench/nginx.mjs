// Another peer of the comparison: nginx, where it is installed, with one process and nothing of its own on the disk.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { delimiter, join } from 'node:path';
import { freePort, startProgram, until } from './processes.mjs';

/** The program of KNOX_BENCH_NGINX or of PATH; null = there is none. */
export function findNginx() {
  const given = process.env.KNOX_BENCH_NGINX;
  const candidates = given
    ? [given]
    : [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin'].map((dir) => join(dir, 'nginx'));
  const path = candidates.find((candidate) => existsSync(candidate));
  if (path === undefined) return null;
  // It says so on its error output.
  const version = execFileSync('sh', ['-c', '"$0" -v 2>&1', path], { encoding: 'utf8' });
  return { path, version: /nginx\/([\d.]+)/.exec(version)?.[1] ?? 'of unknown version' };
}

export async function startNginx({ path }, { origin, servername, caFile }, { dir, cpu, connections }) {
  mkdirSync(dir);
  const port = await freePort();
  const configuration = configurationOf({
    port,
    upstream: new URL(origin).host,
    servername,
    caFile,
    connections,
  });
  writeFileSync(join(dir, 'nginx.conf'), configuration);
  const child = startProgram([path, '-p', dir, '-c', join(dir, 'nginx.conf'), '-e', join(dir, 'error.log')], {
    cpu,
  });
  await until(() => answers(port), child);
  return { child, port };
}

/** As many idle connections to the upstream as the generator has to it, and no connection closed by its age. */
function configurationOf({ port, upstream, servername, caFile, connections }) {
  return `daemon off;
master_process off;
pid nginx.pid;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path client-body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  keepalive_requests 1000000000;
  upstream peer {
    server ${upstream};
    keepalive ${connections};
    keepalive_requests 1000000000;
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass https://peer;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_ssl_protocols TLSv1.2 TLSv1.3;
      proxy_ssl_session_reuse on;
      proxy_ssl_server_name on;
      proxy_ssl_name ${servername};
      proxy_ssl_verify on;
      proxy_ssl_trusted_certificate ${caFile};
    }
  }
}
`;
}

function answers(port) {
  return new Promise((resolve) => {
    const probe = request({ port, host: '127.0.0.1', agent: false }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode === 200));
    });
    probe.on('error', () => resolve(false));
    probe.end();
  });
}
