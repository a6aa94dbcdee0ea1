import { execFileSync, spawn } from 'node:child_process';
import { openSync, readFileSync } from 'node:fs';

const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

/** CPU of a process and all its threads so far, microseconds (proc(5): utime and stime). */
export function cpuMicros(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND) * 1e6;
}

export function residentMiB(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)[1]) / 1024;
}

/** Starts Node on one core (`cpu` null = anywhere); its output goes to a file, or comes back as lines. */
export function startNode(args, { cpu, env = {}, logFile = null }) {
  const log = logFile === null ? 'inherit' : openSync(logFile, 'a');
  const command = [process.execPath, ...args];
  if (cpu !== null) command.unshift('taskset', '-c', String(cpu));
  const [program, ...rest] = command;
  return spawn(program, rest, {
    env: { ...cleanEnvironment(), ...env },
    stdio: ['ignore', logFile === null ? 'pipe' : log, log],
  });
}

/** A run must not depend on who runs it. */
function cleanEnvironment() {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(KNOX|NODE_|npm_|DATABASE_URL|MASTER_KEY)/.test(name)),
  );
}

/** The first line of its output, which is JSON. */
export function firstLine(child) {
  return new Promise((resolve, reject) => {
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (part) => {
      text += part;
      if (text.includes('\n')) resolve(JSON.parse(text.slice(0, text.indexOf('\n'))));
    });
    child.on('error', reject);
    child.on('close', (code) => reject(new Error(`ended with ${code} before its first line`)));
  });
}

export function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  const closed = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  return closed;
}
