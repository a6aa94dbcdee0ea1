// Loaded into the server by the crash test alone (`--import`): no answer to a call that asks for it goes out, and in the
// moment when as many would as the calls say, each by then committed, the process ends.
import { ServerResponse } from 'node:http';

const { writeHead } = ServerResponse.prototype;
let due = 0;

/** @this {ServerResponse} @param {...any} head */
ServerResponse.prototype.writeHead = function (...head) {
  const calls = Number(this.req.headers['x-test-kill-at-answer'] ?? 0);
  // A refusal goes out: the test sees it.
  if (calls === 0 || head[0] !== 201) return Reflect.apply(writeHead, this, head);
  due += 1;
  if (due === calls) process.kill(process.pid, 'SIGKILL');
  this.write = () => true;
  this.end = () => this;
  return this;
};
