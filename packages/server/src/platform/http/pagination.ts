import { z } from 'zod';
import { LIMITS } from '../../kernel/limits.js';

const wholeNumber = z.coerce.number().int();

/** `page` and `per_page` of a paged list; more than the maximum clamps (contract README §7). */
export const pageQuery = {
  page: wholeNumber.min(1).max(1_000_000).default(1),
  per_page: wholeNumber
    .min(1)
    .transform((n) => Math.min(n, LIMITS.perPageMax))
    .default(LIMITS.perPageDefault),
};

export const orderQuery = z.enum(['asc', 'desc']).default('desc');

/** `limit` of a cursor feed; clamps at both ends. */
export const feedQuery = {
  cursor: z.string().min(1).max(200).optional(),
  limit: wholeNumber
    .transform((n) => Math.min(Math.max(n, 1), LIMITS.feedLimitMax))
    .default(LIMITS.feedLimitDefault),
};

/** `from` and `to` of a list, as epoch milliseconds. */
export const instantQuery = z.iso.datetime({ offset: true }).transform((text) => Date.parse(text));

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
