import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { Socks5Server } from '@pondwader/socks5-server';
import { Server as HttpProxy } from 'proxy-chain';

/** A real proxy on loopback: where it was told to connect, and as whom. */
export interface TestProxy {
  readonly port: number;
  readonly asked: string[];
  close(): Promise<void>;
}

interface Login {
  readonly username: string;
  readonly password: string;
}

export async function startSocksServer(login: Login | null = null): Promise<TestProxy> {
  const asked: string[] = [];
  const socks = new Socks5Server();
  if (login)
    socks.setAuthHandler(
      ({ username, password }) => username === login.username && password === login.password,
    );
  socks.setRulesetValidator(({ destAddress, destPort, username }) => {
    asked.push(`${username ?? '-'} ${destAddress}:${destPort}`);
    return true;
  });
  return { ...(await startTalker((socket) => void socks._handleConnection(socket))), asked };
}

export async function startHttpProxy(login: Login | null = null): Promise<TestProxy> {
  const asked: string[] = [];
  const server = new HttpProxy({
    host: '127.0.0.1',
    port: 0,
    prepareRequestFunction: ({ hostname, port, username, password }) => {
      asked.push(`${username || '-'} ${hostname}:${port}`);
      const isKnown = !login || (username === login.username && password === login.password);
      return { requestAuthentication: !isKnown };
    },
  });
  await server.listen();
  return { port: server.port, asked, close: () => server.close(true) };
}

/** Whatever a hostile server says. */
export async function startTalker(talk: (socket: Socket) => void): Promise<Omit<TestProxy, 'asked'>> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => {}).on('close', () => open.delete(socket));
    talk(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
