import { z } from 'zod';
import { isoTime } from '../../kernel/clock.js';
import { PROXY_MODES } from '../../kernel/proxy-mode.js';
import { instantQuery, instantText } from '../../platform/http/pagination.js';
import type { Counts } from './counts.js';
import {
  type AnalyticsQuery,
  type AnalyticsReport,
  GROUPINGS,
  GROUPS_SHOWN_MAX,
  POINTS_MAX,
} from './service.js';
import { UNITS } from './units.js';

const STATUS_CLASSES = ['1xx', '2xx', '3xx', '4xx', '5xx'] as const;

export const analyticsQuery = z.object({
  from: instantQuery
    .optional()
    .describe('Calls that came in at this time or later; default a day before `to`.'),
  to: instantQuery.optional().describe('Calls that came in before this time; default now.'),
  interval: z
    .enum(UNITS)
    .optional()
    .describe(
      `Of \`series\`; at most ${POINTS_MAX}. Default minutes for 3 hours of the last day, hours for 14 days, else days. Minutes are ` +
        'kept for two days.',
    ),
  group_by: z.enum(GROUPINGS).optional().describe('Of `groups`; `client` with `log:read_identity` only.'),
  route_id: z.string().min(1).max(64).optional().describe('Calls of this route.'),
  environment: z.string().min(1).max(255).optional().describe('Calls under this environment.'),
  client_id: z
    .string()
    .min(1)
    .max(64)
    .optional()
    .describe('Calls of this client; with `log:read_identity` only.'),
  proxy_mode: z.enum(PROXY_MODES).optional().describe('Calls of this kind.'),
  status_class: z.enum(STATUS_CLASSES).optional().describe('Calls that were answered with a status of it.'),
});

export function toQuery(query: z.output<typeof analyticsQuery>): AnalyticsQuery {
  return {
    fromMs: query.from,
    toMs: query.to,
    unit: query.interval,
    groupBy: query.group_by,
    routeId: query.route_id,
    environment: query.environment,
    clientId: query.client_id,
    proxyMode: query.proxy_mode,
    statusClass: query.status_class === undefined ? undefined : Number(query.status_class[0]),
  };
}

const count = z.number().int();
const latency = z.number().int().nullable();

const counts = {
  requests: count,
  errors: count.describe('Answered with 400 or more.'),
  error_rate: z.number().nullable().describe('`errors` of `requests`, 0 to 1; null: there were none.'),
  refused: count.describe('Refused by the proxy, or broken off: rows with `error`.'),
  rate_limited: count,
  status_classes: z
    .object(Object.fromEntries(STATUS_CLASSES.map((name) => [name, count])))
    .describe('Calls by status.'),
  latency_ms: z
    .object({ p50: latency, p95: latency, p99: latency })
    .describe(
      'Milliseconds to the end of the answer, off by 1/64 at most, exact below 64; null: there were no calls.',
    ),
};

export const analyticsResponse = z
  .object({
    from: instantText.describe('The range in whole intervals.'),
    to: instantText,
    interval: z.enum(UNITS),
    counted_to: instantText.describe(
      'Calls whose row was written before this time are counted, others follow.',
    ),
    totals: z.object({
      ...counts,
      status_codes: z.record(z.string(), count).describe('Calls by status code.'),
    }),
    series: z
      .array(z.object({ ts: instantText.describe('When the interval begins.'), ...counts }))
      .describe('One for each interval, without a gap.'),
    group_by: z.enum(GROUPINGS).nullable(),
    groups: z
      .array(
        z.object({
          value: z.string().nullable().describe('Null: calls without one, or others.'),
          is_others: z
            .boolean()
            .describe('Calls beyond a thousand combinations of an interval, which are counted together.'),
          ...counts,
        }),
      )
      .nullable()
      .describe(`The ${GROUPS_SHOWN_MAX} with most calls, the largest first; null without \`group_by\`.`),
    groups_total: count.describe('How many there are.'),
  })
  .meta({ id: 'Analytics' });

export function toReportResponse(
  report: AnalyticsReport,
  groupBy: z.output<typeof analyticsQuery>['group_by'],
): z.input<typeof analyticsResponse> {
  return {
    from: isoTime(report.fromMs),
    to: isoTime(report.toMs),
    interval: report.unit,
    counted_to: isoTime(report.countedToMs),
    totals: { ...countsWire(report.totals), status_codes: codesWire(report.totals) },
    series: report.series.map((point) => ({ ts: isoTime(point.startMs), ...countsWire(point.counts) })),
    group_by: groupBy ?? null,
    groups:
      report.groups?.map(({ value, isOthers, ...group }) => ({
        value,
        is_others: isOthers,
        ...countsWire(group.counts),
      })) ?? null,
    groups_total: report.groupsTotal,
  };
}

function countsWire(of: Counts) {
  const latencies = of.latency();
  const requests = latencies.total;
  const sums = { errors: 0, refused: 0, rate_limited: 0 };
  const status_classes = Object.fromEntries(STATUS_CLASSES.map((name) => [name, 0]));
  for (const [hundreds, { latency, refused, rateLimited }] of of.classes) {
    sums.refused += refused;
    sums.rate_limited += rateLimited;
    if (hundreds >= 4) sums.errors += latency.total;
    const name = `${hundreds}xx`;
    if (name in status_classes) status_classes[name] = latency.total;
  }
  const [p50, p95, p99] = [0.5, 0.95, 0.99].map((q) => latencies.quantile(q)) as [
    Quantile,
    Quantile,
    Quantile,
  ];
  return {
    requests,
    ...sums,
    error_rate: requests === 0 ? null : sums.errors / requests,
    status_classes,
    latency_ms: { p50, p95, p99 },
  };
}

type Quantile = number | null;

function codesWire({ classes }: Counts): Record<string, number> {
  const codes = [...classes.values()].flatMap((of) => [...of.codes]);
  return Object.fromEntries(codes.sort(([a], [b]) => a - b));
}
