// Loaded into a server by the soak of mints alone (`--import`): an hour passes at each signal.
const { now } = Date;
const HOUR_MS = 3_600_000;
let aheadMs = 0;

Date.now = () => now() + aheadMs;
process.on('SIGUSR2', () => {
  aheadMs += HOUR_MS;
});
