import { execFileSync, spawn } from 'node:child_process';
import { openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';

const START_SECONDS_MAX = 30;
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

export function startNode(args, options) {
  return startProgram([process.execPath, ...args], options);
}

/** Starts it on one core (`cpu` null = anywhere); its output goes to a file, or comes back as lines. `isTold`: it reads lines. */
export function startProgram(command, { cpu, env = {}, logFile = null, isTold = false }) {
  const log = logFile === null ? 'inherit' : openSync(logFile, 'a');
  const [program, ...rest] = cpu === null ? command : ['taskset', '-c', String(cpu), ...command];
  const child = spawn(program, rest, {
    env: { ...cleanEnvironment(), ...env },
    stdio: [isTold ? 'pipe' : 'ignore', logFile === null ? 'pipe' : log, log],
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

/** Asks again and again; fails when the process has ended, or has not come so far in half a minute. */
export async function until(condition, child) {
  const deadline = performance.now() + START_SECONDS_MAX * 1000;
  while (!(await condition())) {
    if (child.exitCode !== null) throw new Error('it ended before it was ready; see its log');
    if (performance.now() > deadline) throw new Error(`it was not ready in ${START_SECONDS_MAX} s`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export function freePort() {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

export function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  const closed = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  // One that was stopped between its turns hears it only then.
  child.kill('SIGCONT');
  return closed;
}
