import { type RouteDefinition, route } from '../../platform/http/route.js';
import type { Alerts } from './alerts.js';
import {
  alertListQuery,
  alertParams,
  alertResponse,
  alertWire,
  createAlertBody,
  deletedResponse,
  firingListQuery,
  firingResponse,
  firingWire,
  testedResponse,
  testedWire,
  updateAlertBody,
} from './schemas.js';

const PATH = '/admin/alerts';

export function alertRoutes(alerts: Pick<Alerts, 'records'>): RouteDefinition[] {
  return [
    route({
      method: 'GET',
      path: PATH,
      summary: 'List alerts',
      permission: 'alerts:read',
      audit: null,
      query: alertListQuery,
      response: alertResponse,
      answer: 'page',
      async handle({ caller, query }) {
        const page = await alerts.records.list(caller, { ...query, perPage: query.per_page });
        return { ...page, rows: page.rows.map(alertWire) };
      },
    }),
    route({
      method: 'POST',
      path: PATH,
      summary: 'Be told when calls fail, are slow, are limited or come from unknown clients',
      permission: 'alerts:write',
      audit: 'alert.create',
      body: createAlertBody,
      response: alertResponse,
      errors: ['conflict', 'egress_blocked', 'plan_feature', 'ssrf_blocked', 'tenant_sealed'],
      status: 201,
      handle: ({ caller, body }) => alerts.records.create(caller, body),
      wire: alertWire,
    }),
    route({
      method: 'GET',
      path: `${PATH}/:id`,
      summary: 'Read an alert',
      permission: 'alerts:read',
      audit: null,
      params: alertParams,
      response: alertResponse,
      handle: async ({ caller, params }) => alertWire(await alerts.records.get(caller, params.id)),
    }),
    route({
      method: 'PATCH',
      path: `${PATH}/:id`,
      summary: 'Change an alert, switch it on or off',
      permission: 'alerts:write',
      audit: 'alert.update|enable|disable',
      params: alertParams,
      body: updateAlertBody,
      response: alertResponse,
      errors: ['conflict', 'egress_blocked', 'plan_feature', 'ssrf_blocked', 'tenant_sealed'],
      handle: ({ caller, params, body }) => alerts.records.update(caller, params.id, body),
      wire: alertWire,
    }),
    route({
      method: 'DELETE',
      path: `${PATH}/:id`,
      summary: 'Delete an alert with its history',
      permission: 'alerts:write',
      audit: 'alert.delete',
      params: alertParams,
      response: deletedResponse,
      handle: ({ caller, params }) => alerts.records.delete(caller, params.id),
      wire: () => ({ deleted: true }),
    }),
    route({
      method: 'GET',
      path: `${PATH}/:id/firings`,
      summary: 'List when an alert went off, the newest first, and who was told',
      permission: 'alerts:read',
      audit: null,
      params: alertParams,
      query: firingListQuery,
      response: firingResponse,
      answer: 'page',
      async handle({ caller, params, query }) {
        const page = await alerts.records.firings(caller, params.id, { ...query, perPage: query.per_page });
        return { ...page, rows: page.rows.map(firingWire) };
      },
    }),
    route({
      method: 'POST',
      path: `${PATH}/:id/test`,
      summary: 'Tell every channel of an alert now, once, that it is a test',
      permission: 'alerts:write',
      audit: null,
      params: alertParams,
      response: testedResponse,
      handle: ({ caller, params }) => alerts.records.test(caller, params.id),
      wire: testedWire,
    }),
  ];
}
