import { type Clock, isoTime } from '../../kernel/clock.js';
import type { Logger } from '../log/logger.js';
import { readTlsPair, type TlsFiles, type TlsPair, TlsPairRefused } from './tls-pair.js';

export interface TlsReload {
  /** Reads the files now and says what came of it: what SIGHUP asks for. */
  reload(): Promise<void>;
  stop(): void;
}

export interface TlsReloadDeps {
  readonly files: TlsFiles;
  /** What is in use at the beginning. */
  readonly pair: TlsPair;
  readonly clock: Clock;
  readonly logger: Logger;
  use(pair: TlsPair): void;
}

/** Contents and not times are compared: they are small, and a mounted secret is a link that is turned to other files. */
const POLL_MS = 2_000;

/**
 * Takes a changed pair into use. The files are written one after the other, so what is no pair is looked at once more
 * before it is complained of, once; the former pair stays in use meanwhile.
 */
export function startTlsReload({ files, pair, clock, logger, use }: TlsReloadDeps): TlsReload {
  let inUse = pair.digest;
  let refused: { digest: string; isTold: boolean } | null = null;
  let cancel = () => {};
  let isStopped = false;

  async function look(isAsked: boolean): Promise<void> {
    try {
      const next = await readTlsPair(files);
      refused = null;
      if (isStopped || (next.digest === inUse && !isAsked)) return;
      use(next);
      inUse = next.digest;
      const { sha256Thumbprint, notAfterMs } = next.facts;
      logger.info(
        { sha256: sha256Thumbprint, not_after: isoTime(notAfterMs) },
        'TLS certificate taken into use',
      );
    } catch (error) {
      if (!(error instanceof TlsPairRefused)) throw error;
      const isSeen = refused?.digest === error.digest;
      const isToTell = isAsked || (isSeen && !refused?.isTold);
      refused = { digest: error.digest, isTold: isToTell || (isSeen && refused!.isTold) };
      if (isToTell)
        logger.error({ rule: error.rule }, 'TLS certificate not changed: the one before stays in use');
    }
  }

  function rest(): void {
    cancel = clock.setTimer(POLL_MS, () => {
      void look(false).finally(() => {
        if (!isStopped) rest();
      });
    });
  }

  rest();
  return {
    reload: () => look(true),
    stop() {
      isStopped = true;
      cancel();
    },
  };
}
