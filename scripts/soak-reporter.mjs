/**
 * One line for each kill of the crash tests, and at the end the sums for each database; one for each way of a large body, for
 * each storm of leases, one for each way to share a limit, one of the mints, one of the streams, one for each log that is slow, one for each pass under a new master key, one for the kills of each
 * database that delivers webhooks, and one for each comparison of times.
 */
export default class SoakReporter {
  #sums = new Map();

  onTestCaseResult(test) {
    const { besideLog, crash, grewBytes, mints, rewrap, sharedLimit, storm, streams, timing, webhookKills } =
      test.meta();
    const { state } = test.result();
    if (grewBytes !== undefined) {
      const result = state === 'failed' ? 'FAILED, ' : '';
      console.log(`  large bodies ${test.name}: ${result}memory grew by ${(grewBytes / 1e6).toFixed(1)} MB`);
      return;
    }
    if (mints !== undefined) {
      const sizes = `${mints.tokens} tokens, ${mints.proofs} proofs, ${mints.heapMiB.toFixed(0)} MiB of heap`;
      console.log(
        `  ${mints.minted} mints, at the end ${sizes}, ${mints.residentMiB.toFixed(0)} MiB resident`,
      );
    }
    if (rewrap !== undefined) {
      const { rows, kills, reads, slowestMs, rowsASecond, residentMiB } = rewrap;
      const pace = rowsASecond
        ? `, ${rowsASecond.toFixed(0)} rows a second, ${residentMiB.toFixed(0)} MiB resident`
        : '';
      console.log(
        `  ${test.parent.name}: ${state === 'failed' ? 'FAILED, ' : ''}${rows} rows, ${kills} kills${pace}; ` +
          `${reads} reads, the slowest ${slowestMs.toFixed(0)} ms`,
      );
      return;
    }
    if (timing !== undefined) {
      const { answer, next, bound, samples } = timing;
      const told = ({ area, medianMs }) =>
        `${area.toFixed(3)} (medians ${medianMs.map((ms) => ms.toFixed(2)).join(' and ')} ms)`;
      console.log(
        `  ${test.parent.name}, ${test.name}: ${state === 'failed' ? 'FAILED, ' : ''}${told(answer)}, of the next call ${told(next)}; ` +
          `0.5 ± ${bound.toFixed(3)} at ${samples} of each`,
      );
      return;
    }
    if (besideLog !== undefined) {
      const told = ({ calls, p50Ms, p99Ms, maxMs }) =>
        `${calls} calls, p50 ${p50Ms.toFixed(2)}, p99 ${p99Ms.toFixed(2)}, max ${maxMs.toFixed(1)} ms`;
      const { what, times, quiet, refused } = besideLog;
      console.log(
        `  ${outermost(test).name}, beside ${what}: ${state === 'failed' ? 'FAILED, ' : ''}${told(times)}, ${refused} refused with 503; before ${told(quiet)}`,
      );
      return;
    }
    if (sharedLimit !== undefined) {
      for (const { route, calls, admitted, most, least, limit, seconds, windowSec } of sharedLimit.measured)
        console.log(
          `  ${test.name}, ${route}: ${state === 'failed' ? 'FAILED, ' : ''}${admitted} of ${calls} calls in ${seconds.toFixed(1)} s admitted, ` +
            `${most} at most in a window, no refusal behind fewer than ${least}; the limit is ${limit} in ${windowSec} s${sharedLimit.isRedisHeard ? '' : '; Redis was not heard in time'}`,
        );
      return;
    }
    if (webhookKills !== undefined) {
      const { kills, events, receipts, repeated } = webhookKills;
      console.log(
        `  ${outermost(test).name}: ${state === 'failed' ? 'FAILED, ' : ''}${kills} kills, ${events} events, none lost; ` +
          `${receipts} deliveries, ${repeated} of them repeated under their id`,
      );
      return;
    }
    if (streams !== undefined) {
      const told = ({ descriptors, residentMiB }) =>
        `${descriptors} descriptors, ${residentMiB.toFixed(0)} MiB resident`;
      const { before, during, after } = streams;
      console.log(
        `  ${streams.streams} streams: ${state === 'failed' ? 'FAILED, ' : ''}before ${told(before)}; during ${told(during)}; after ${told(after)}`,
      );
      return;
    }
    if (storm !== undefined) {
      const { leases, goneMs, duringMs, idleMs } = storm;
      console.log(
        `  ${test.parent.name}: ${state === 'failed' ? 'FAILED, ' : ''}${leases} users gone ${(goneMs / 1_000).toFixed(1)} s after the last was due; ` +
          `p99 of a list ${duringMs.toFixed(1)} ms meanwhile, ${idleMs.toFixed(1)} ms before`,
      );
      return;
    }
    const database = outermost(test).name;
    if (state === 'failed') this.#sumsOf(database).failed += 1;
    if (state === 'skipped') return;
    console.log(`  ${database}: ${state === 'failed' ? 'FAILED ' : ''}${test.name.split(':')[0]}`);
    if (!crash) return;
    const sums = this.#sumsOf(database);
    sums.kills += 1;
    for (const [name, count] of Object.entries(crash)) sums[name] = (sums[name] ?? 0) + count;
  }

  onTestRunEnd() {
    for (const [database, sums] of this.#sums) {
      const { kills, failed, acknowledged, received, audited, repeated, hadHappened } = sums;
      console.log(
        `${database}: ${kills} kills, ${failed} failed; ${acknowledged} acknowledged calls${failed === 0 ? ', none lost' : ''}; ` +
          `${received} values upstream, ${audited} audit rows for them; ` +
          `${repeated} unanswered calls repeated, ${hadHappened} had happened`,
      );
    }
  }

  #sumsOf(database) {
    const sums = this.#sums.get(database) ?? { kills: 0, failed: 0 };
    this.#sums.set(database, sums);
    return sums;
  }
}

function outermost(test) {
  let suite = test.parent;
  while (suite.parent && suite.parent.type === 'suite') suite = suite.parent;
  return suite;
}
