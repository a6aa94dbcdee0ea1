import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');

const isTerminal = process.stdout.isTTY === true;
const isColoured = isTerminal && !process.env.NO_COLOR;
const paint = (code) => (text) => (isColoured ? `\u001b[${code}m${text}\u001b[0m` : text);
export const bold = paint('1');
export const dim = paint('2');
export const red = paint('31');
export const green = paint('32');
export const yellow = paint('33');
export const cyan = paint('36');

/** npm only warns of "engines"; a version that cannot run the server ends here with a sentence. */
export function requireNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if ((major === 20 && minor >= 20) || (major === 22 && minor >= 13) || major > 22) return;
  console.error(`KnoxCall needs Node 20.20, or 22.13 and later; this is Node ${process.versions.node}.`);
  process.exit(1);
}

/** Raised by a command that failed; its output is shown once, by whoever ends the run. */
export class CommandFailed extends Error {
  constructor(title, output) {
    super(title);
    this.output = output;
  }
}

/** One line a step: a spinner with the elapsed time on a terminal, a plain line at each end elsewhere. */
export async function step(title, work) {
  const startedAt = Date.now();
  const elapsed = () => `${((Date.now() - startedAt) / 1000).toFixed(1)} s`;
  const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
  let turn = 0;
  const draw = () =>
    process.stdout.write(`\r  ${cyan(frames[turn++ % frames.length])} ${title} ${dim(elapsed())} `);
  const timer = isTerminal ? setInterval(draw, 100) : null;
  if (!isTerminal) console.log(`  . ${title}`);
  const end = (mark, note = '') => {
    clearInterval(timer);
    console.log(
      `${isTerminal ? '\r\u001b[K' : ''}  ${mark} ${title}${note && ` (${note})`} ${dim(elapsed())}`,
    );
  };
  try {
    const note = await work();
    end(green('✓'), typeof note === 'string' ? note : '');
  } catch (error) {
    end(red('✗'));
    throw error;
  }
}

/** Runs a command with its output kept; rejects with `CommandFailed` on a non-zero exit. */
export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'], ...options });
    const chunks = [];
    child.stdout.on('data', (chunk) => chunks.push(chunk));
    child.stderr.on('data', (chunk) => chunks.push(chunk));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const output = Buffer.concat(chunks).toString();
      if (code === 0) resolve(output);
      else reject(new CommandFailed(`${command} ended with ${signal ?? code}`, output));
    });
  });
}

/** A failed run ends with its reason and the end of the failing command's output, without a stack of ours. */
export function endWith(error) {
  const output =
    error instanceof CommandFailed ? error.output.trimEnd().split('\n').slice(-60).join('\n') : error.stack;
  console.error(`\n${output}\n`);
  process.exit(1);
}
