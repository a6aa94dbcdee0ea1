import type { CommandDeps } from '../app/command-deps.js';
import { runCommand } from '../app/commands.js';

/** A command as an operator runs it: its exit code and what it wrote. One that would start a server fails unless given it. */
export async function command(
  words: string[],
  deps: Pick<CommandDeps, 'environment' | 'workingDir' | 'clock'> & Partial<CommandDeps>,
): Promise<{ code: number; out: string; error: string }> {
  const output = { out: '', error: '' };
  const code = await runCommand(words, {
    terminal: {
      out: (text) => {
        output.out += text;
      },
      error: (text) => {
        output.error += text;
      },
      isColoured: false,
    },
    stopAsked: Promise.resolve(),
    onReload: () => {},
    loadStartServer: () => Promise.reject(new Error('no server was to be started')),
    ...deps,
  });
  return { code, ...output };
}
