import { z } from 'zod';
import { LIMITS } from '../../kernel/limits.js';

const wholeNumber = z.coerce.number().int();

/** `page` and `per_page` of a paged list; more than the maximum clamps (contract README §7). */
export const pageQuery = {
  page: wholeNumber.min(1).max(1_000_000).default(1).describe('Counted from 1.'),
  per_page: wholeNumber
    .min(1)
    .transform((n) => Math.min(n, LIMITS.perPageMax))
    .default(LIMITS.perPageDefault)
    .describe(`Rows on a page; more than ${LIMITS.perPageMax} is taken for ${LIMITS.perPageMax}.`)
    .meta({ default: LIMITS.perPageDefault }),
};

export const orderQuery = z.enum(['asc', 'desc']).default('desc').describe('Direction of `sort`.');

/** `limit` of a cursor feed; clamps at both ends. */
export const feedQuery = {
  cursor: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .describe('`meta.next_cursor` of the last call; where it was null, the `cursor` of the last row seen.'),
  limit: wholeNumber
    .transform((n) => Math.min(Math.max(n, 1), LIMITS.feedLimitMax))
    .default(LIMITS.feedLimitDefault)
    .describe(`Rows of one answer; taken into 1 to ${LIMITS.feedLimitMax}.`)
    .meta({ default: LIMITS.feedLimitDefault }),
};

/** `from` and `to` of a list, as epoch milliseconds. */
export const instantQuery = z.iso
  .datetime({ offset: true })
  .transform((text) => Date.parse(text))
  .describe('ISO 8601 with an offset.');

/** A time in an answer (contract README §5). */
export const instantText = z
  .string()
  .meta({ format: 'date-time', examples: ['2026-01-15T09:30:00.000Z'] })
  .describe('ISO 8601 in UTC, with milliseconds.');

/** A time of a certificate in an answer (contract README §5). */
export const secondText = z
  .string()
  .meta({ format: 'date-time', examples: ['2027-01-15T09:30:00Z'] })
  .describe('ISO 8601 in UTC, in whole seconds.');

/** One page of a list in one direction, as stores take it. */
export interface PageOptions {
  readonly page: number;
  readonly perPage: number;
  readonly order: 'asc' | 'desc';
}

/** The same where the caller may choose the column. */
export interface ListOptions<Sort extends string> extends PageOptions {
  readonly sort: Sort;
}

export function offsetOf(page: number, perPage: number): number {
  return (page - 1) * perPage;
}
