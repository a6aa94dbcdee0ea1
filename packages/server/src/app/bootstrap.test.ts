import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createManualClock } from '../testing/manual-clock.js';
import { bootstrapInstallation, type PreparedInstallation } from './bootstrap.js';
import {
  type BootstrapContent,
  expireBootstrapFile,
  pendingPathOf,
  publishBootstrapFile,
  removeBootstrapFileOf,
  writePendingBootstrapFile,
} from './bootstrap-file.js';

const HOUR_MS = 3600 * 1000;

function contentNumber(n: number): BootstrapContent {
  return {
    base_url: 'http://127.0.0.1:8787',
    tenant: { id: `tenant-${n}`, slug: 'default' },
    admin: { email: 'owner@localhost', password: `password-${n}` },
    live_api_key: `tk_live_${n}`,
    test_api_key: `tk_test_${n}`,
  };
}

let dir: string;
let filePath: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'knox-bootstrap-'));
  filePath = join(dir, 'bootstrap.json');
});
afterEach(() => rmSync(dir, { recursive: true }));

/** As a first start leaves it. */
function writeFile(): void {
  writePendingBootstrapFile(filePath, contentNumber(1));
  publishBootstrapFile(filePath);
}

/** An installation in memory; `commit` decides what its transaction does. */
function installation(commit: (make: () => void) => boolean) {
  const state = { tenants: 0, prepared: 0 };
  const deps = {
    filePath: filePath as string | null,
    hasTenants: async () => state.tenants > 0,
    hasTenant: async (id: string) => state.tenants > 0 && id === `tenant-${state.prepared}`,
    prepare: async (): Promise<PreparedInstallation> => {
      const content = contentNumber(++state.prepared);
      return {
        content,
        commit: async () =>
          commit(() => {
            state.tenants++;
          }),
      };
    },
  };
  return { state, deps };
}

const contentAt = (path: string) => JSON.parse(readFileSync(path, 'utf8')) as BootstrapContent;
const fileContent = () => contentAt(filePath);
const pendingContent = () => contentAt(pendingPathOf(filePath));

describe('first start', () => {
  it('writes the file 0600 with exactly the members of the contract', async () => {
    const { deps } = installation((make) => {
      make();
      return true;
    });
    expect(await bootstrapInstallation(deps)).toEqual(contentNumber(1));
    expect(fileContent()).toEqual(contentNumber(1));
    expect(statSync(filePath).mode & 0o777).toBe(0o600);
    expect(existsSync(pendingPathOf(filePath))).toBe(false);
  });

  it('before the commit the credentials stand under another name: who sees the file can use it', async () => {
    let atCommit: unknown;
    const { deps } = installation((make) => {
      atCommit = { isPublished: existsSync(filePath), pending: pendingContent() };
      make();
      return true;
    });
    await bootstrapInstallation(deps);
    expect(atCommit).toEqual({ isPublished: false, pending: contentNumber(1) });
  });

  it('does nothing where a tenant exists', async () => {
    const { deps, state } = installation(() => true);
    state.tenants = 1;
    expect(await bootstrapInstallation(deps)).toBeNull();
    expect(existsSync(filePath)).toBe(false);
    expect(state.prepared).toBe(0);
  });

  it('writes no file where it is switched off', async () => {
    const { deps } = installation(() => true);
    expect(await bootstrapInstallation({ ...deps, filePath: null })).toEqual(contentNumber(1));
    expect(existsSync(filePath)).toBe(false);
  });

  it.each([
    ['', (path: string) => path],
    [', its pending name too', pendingPathOf],
  ])('refuses, before anything is made, a path at which something else stands%s', async (_, at) => {
    writeFileSync(at(filePath), 'precious');
    const { deps, state } = installation(() => true);
    await expect(bootstrapInstallation(deps)).rejects.toThrow('exists and is something else');
    expect(readFileSync(at(filePath), 'utf8')).toBe('precious');
    expect(state.tenants).toBe(0);
  });

  it('refuses a path that cannot be written', async () => {
    const { deps, state } = installation(() => true);
    const absent = join(dir, 'absent', 'bootstrap.json');
    await expect(bootstrapInstallation({ ...deps, filePath: absent })).rejects.toThrow('cannot write');
    expect(state.tenants).toBe(0);
  });
});

describe('when the commit does not go well', () => {
  it('another process was first: its tenant stands and our file is gone', async () => {
    const { deps } = installation(() => false);
    expect(await bootstrapInstallation(deps)).toBeNull();
    expect(existsSync(filePath)).toBe(false);
  });

  it('it failed: the file is gone', async () => {
    const { deps } = installation(() => {
      throw new Error('disk full');
    });
    await expect(bootstrapInstallation(deps)).rejects.toThrow('disk full');
    expect(existsSync(filePath)).toBe(false);
  });

  it('its answer was lost but it happened: the file is there', async () => {
    const { deps } = installation((make) => {
      make();
      throw new Error('connection reset');
    });
    await expect(bootstrapInstallation(deps)).rejects.toThrow('connection reset');
    expect(fileContent()).toEqual(contentNumber(1));
  });

  it('its answer was lost and nothing can be asked: the next start finds out', async () => {
    const { deps } = installation((make) => {
      make();
      throw new Error('connection reset');
    });
    const lost = async () => Promise.reject(new Error('no database'));
    await expect(bootstrapInstallation({ ...deps, hasTenant: lost })).rejects.toThrow('connection reset');
    expect(existsSync(filePath)).toBe(false);
    expect(await bootstrapInstallation(deps)).toBeNull();
    expect(fileContent()).toEqual(contentNumber(1));
  });

  it('a crash before it: the next start makes everything anew', async () => {
    writePendingBootstrapFile(filePath, contentNumber(0));
    const { deps } = installation((make) => {
      make();
      return true;
    });
    await bootstrapInstallation(deps);
    expect(fileContent()).toEqual(contentNumber(1));
  });

  it('a crash behind it: the next start gives the file its name and makes nothing', async () => {
    const { deps, state } = installation(() => true);
    state.tenants = 1;
    writePendingBootstrapFile(filePath, contentNumber(0));
    expect(await bootstrapInstallation(deps)).toBeNull();
    expect(fileContent()).toEqual(contentNumber(0));
    expect(existsSync(pendingPathOf(filePath))).toBe(false);
  });

  it('a crash, and another process was first: what never worked is gone', async () => {
    const { deps, state } = installation(() => true);
    state.tenants = 1;
    writePendingBootstrapFile(filePath, contentNumber(7));
    expect(await bootstrapInstallation(deps)).toBeNull();
    expect(existsSync(filePath)).toBe(false);
    expect(existsSync(pendingPathOf(filePath))).toBe(false);
  });
});

describe('a sign-in', () => {
  const silent = { warn: () => {} };

  it('of the owner removes the file, of anybody else it does not', () => {
    writeFile();
    removeBootstrapFileOf(filePath, 'someone@localhost', silent);
    expect(existsSync(filePath)).toBe(true);
    removeBootstrapFileOf(filePath, 'owner@localhost', silent);
    expect(existsSync(filePath)).toBe(false);
    removeBootstrapFileOf(filePath, 'owner@localhost', silent);
  });

  it('leaves what is something else', () => {
    writeFileSync(filePath, '{"admin":{"email":"owner@localhost"}}');
    removeBootstrapFileOf(filePath, 'owner@localhost', silent);
    expect(existsSync(filePath)).toBe(true);
  });
});

describe('24 hours later', () => {
  const clock = createManualClock();
  const writtenHoursAgo = (hours: number) => {
    writeFile();
    const seconds = (clock.nowMs() - hours * HOUR_MS) / 1000;
    utimesSync(filePath, seconds, seconds);
  };

  it('the timer removes the file', () => {
    writtenHoursAgo(1);
    expect(expireBootstrapFile(filePath, clock).isPresent).toBe(true);
    clock.advance(23 * HOUR_MS - 1);
    expect(existsSync(filePath)).toBe(true);
    clock.advance(1);
    expect(existsSync(filePath)).toBe(false);
  });

  it('a start removes an old file', () => {
    writtenHoursAgo(24);
    expect(expireBootstrapFile(filePath, clock).isPresent).toBe(false);
    expect(existsSync(filePath)).toBe(false);
  });

  it('a file that is something else stays', () => {
    writeFileSync(filePath, '{"live_api_key":1}');
    utimesSync(filePath, 1, 1);
    expect(expireBootstrapFile(filePath, clock).isPresent).toBe(false);
    expect(existsSync(filePath)).toBe(true);
  });
});
