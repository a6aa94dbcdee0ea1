import { execFileSync, spawn } from 'node:child_process';
import { openSync, readFileSync } from 'node:fs';

const running = new Set();
const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

/** CPU of a process and all its threads so far, microseconds (proc(5): utime and stime). */
export function cpuMicros(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND) * 1e6;
}

/** CPU that anyone spent on one core so far, microseconds (proc(5): all of the line but idle and iowait). */
export function coreMicros(core) {
  const line = readFileSync('/proc/stat', 'utf8')
    .split('\n')
    .find((text) => text.startsWith(`cpu${core} `));
  const [user, nice, system, , , irq, softirq, steal] = line.split(' ').slice(1).map(Number);
  return ((user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND) * 1e6;
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
  const child = spawn(program, rest, {
    env: { ...cleanEnvironment(), ...env },
    stdio: ['ignore', logFile === null ? 'pipe' : log, log],
  });
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

/** What a part that failed left running. */
export async function stopAll() {
  await Promise.all([...running].map(stop));
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
