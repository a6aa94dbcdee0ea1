import { z } from 'zod';
import type { MountedRoute } from './mounts.js';
import type { Feed, Page } from './route.js';

/** Wraps a handler's result as contract README §5 says; the response schema strips what it does not name. */
export function envelope({
  definition,
  body,
}: MountedRoute): (result: unknown, requestId: string) => unknown {
  const { response } = definition;
  if (body === 'bare' || definition.text) return (result) => response.parse(result);
  if (definition.meta === 'none') {
    return (result) => {
      const data = response.parse(result);
      const warning = definition.warning?.(data) ?? null;
      return warning === null ? { data } : { data, warning };
    };
  }
  if (definition.answer === undefined || definition.answer === 'single')
    return (result, requestId) => ({ data: response.parse(result), meta: { request_id: requestId } });
  const rows = z.array(response);
  if (definition.answer === 'page') {
    return (result, requestId) => {
      const page = result as Page<unknown>;
      return { data: rows.parse(page.rows), meta: pageMeta(page, requestId) };
    };
  }
  return (result, requestId) => {
    const feed = result as Feed<unknown>;
    return { data: rows.parse(feed.rows), meta: feedMeta(feed, requestId) };
  };
}

function pageMeta(page: Page<unknown>, requestId: string): object {
  return {
    total: page.total,
    page: page.page,
    per_page: page.perPage,
    total_pages: Math.max(1, Math.ceil(page.total / page.perPage)),
    request_id: requestId,
  };
}

function feedMeta(feed: Feed<unknown>, requestId: string): object {
  return {
    next_cursor: feed.nextCursor,
    limit: feed.limit,
    delivery: 'at_least_once',
    dedupe_on: feed.dedupeOn,
    watermark_seconds: feed.watermarkSeconds,
    ...(feed.redacted ? { _redacted: feed.redacted } : {}),
    request_id: requestId,
  };
}
