// Loaded into a server by the crash tests alone (`--import`): it starts as if so many milliseconds had passed since.
const { now } = Date;
const aheadMs = Number(process.env.TEST_CLOCK_AHEAD_MS);

Date.now = () => now() + aheadMs;
