import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** Between a server and its database: what it carries can be cut as a network or a host would cut it. */
export interface Relay {
  readonly port: number;
  /** As when the database has stopped: its connections end, and nobody listens. */
  refuse(): Promise<void>;
  /** As when a cable is out: nothing is answered, not even a new connection's first word. */
  silence(): void;
  /** New connections work again; those that were silenced stay so, as behind a firewall that has forgotten them. */
  restore(): Promise<void>;
  close(): Promise<void>;
}

export async function startRelay(target: { readonly host: string; readonly port: number }): Promise<Relay> {
  const pairs = new Set<readonly [Socket, Socket | null]>();
  let isSilent = false;
  let server = await listen(0);
  const { port } = server.address() as AddressInfo;

  async function listen(onPort: number): Promise<Server> {
    const listener = createServer(carry).listen(onPort, '127.0.0.1');
    await once(listener, 'listening');
    return listener;
  }

  function carry(near: Socket): void {
    if (isSilent) {
      pairs.add([near.on('error', () => {}), null]);
      return;
    }
    const far = connect(target);
    const pair = [near, far] as const;
    pairs.add(pair);
    const end = () => {
      pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    for (const socket of pair) socket.on('error', () => {}).on('close', end);
    near.pipe(far);
    far.pipe(near);
  }

  function endAll(): void {
    for (const pair of pairs) for (const socket of pair) socket?.destroy();
    pairs.clear();
  }

  async function stopListening(): Promise<void> {
    const closed = once(server, 'close');
    server.close();
    endAll();
    await closed;
  }

  return {
    port,
    refuse: stopListening,
    silence() {
      isSilent = true;
      for (const [near, far] of pairs) {
        near.unpipe();
        far?.unpipe();
        // Read and thrown away, so that neither side learns anything from a full buffer.
        near.resume();
        far?.resume();
      }
    },
    async restore() {
      isSilent = false;
      if (!server.listening) server = await listen(port);
    },
    close: stopListening,
  };
}
