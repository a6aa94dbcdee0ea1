// Loaded into the server by the crash test alone (`--import`): a call that asks for it ends the process in the moment
// when its answer, by then committed, would go out.
import { ServerResponse } from 'node:http';

const { writeHead } = ServerResponse.prototype;

/** @this {ServerResponse} @param {...any} head */
ServerResponse.prototype.writeHead = function (...head) {
  if (this.req.headers['x-test-kill'] === 'answer') process.kill(process.pid, 'SIGKILL');
  return Reflect.apply(writeHead, this, head);
};
