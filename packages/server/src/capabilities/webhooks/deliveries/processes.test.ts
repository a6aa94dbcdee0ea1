import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { forEachDatabase } from '../../../testing/databases.js';
import { stopServices, type TestServices } from '../../../testing/services.js';
import { type Receiver, startWebhookRig, type WebhookRig } from '../../../testing/webhook-rig.js';
import { webhookJobs } from '../index.js';

forEachDatabase((_name, open) => {
  describe('of two processes', () => {
    let rig: WebhookRig;
    let receiver: Receiver;
    let second: TestServices;

    beforeEach(async () => {
      rig = await startWebhookRig({ open });
      receiver = await rig.receiver('shop.example.com');
      second = rig.further();
      await second.generations.start();
    });
    afterEach(async () => {
      const stopped = second.jobs.stop(0);
      rig.harness.clock.advance(0);
      await stopped;
      await stopServices(second);
      await rig.close();
    });

    it('what one was sending when it died the other sends again, under the same id', async () => {
      const { clock, jobs } = rig.harness;
      // What the installation's own beginning has left in the audit log is not for this endpoint.
      await rig.settle();
      const { id } = await rig.make({ url: receiver.url, max_retries: 0 });
      const sending = new Promise<void>((resolve) => {
        receiver.answer = () => resolve();
      });
      while (receiver.received.length === 0) {
        clock.advance(400);
        await rig.harness.db.flush();
        await Promise.race([jobs.idle(), sending]);
      }
      receiver.answer = null;

      // The job changes hands, as when its lease ends; what was begun was not settled.
      const left = jobs.stop(0);
      clock.advance(0);
      await left;
      await second.jobs.start(webhookJobs(second.webhooks));
      while (receiver.received.length === 1) {
        clock.advance(400);
        await second.jobs.idle();
      }
      const [first, again] = receiver.received.map(({ headers }) => headers['x-webhook-id']);
      expect(again).toBe(first);
      const rows = await rig.logs(id);
      expect(rows.map(({ success, delivery_state }) => [success, delivery_state])).toEqual([
        [true, 'delivered'],
        [false, 'delivered'],
      ]);
      expect(rows[1]!['error_message']).toMatch(/^The server ended during this try/);
      const { json } = await rig.harness.call('GET', `/v1/webhooks/${id}`, { key: rig.harness.tenant.live });
      expect([json['data'].success_count, json['data'].failure_count]).toEqual([1, 0]);
    });
  });
});
