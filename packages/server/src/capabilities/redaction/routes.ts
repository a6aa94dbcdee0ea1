import { type RouteDefinition, route } from '../../platform/http/route.js';
import {
  createRuleBody,
  deletedResponse,
  ruleListQuery,
  ruleParams,
  ruleResponse,
  ruleWire,
  testBody,
  testResponse,
  updateRuleBody,
} from './schemas.js';
import type { Redaction } from './service.js';

export function redactionRoutes(redaction: Redaction): RouteDefinition[] {
  return [
    route({
      method: 'GET',
      path: '/v1/redaction-rules',
      summary: 'List redaction rules',
      permission: 'redaction-rules:read',
      audit: null,
      query: ruleListQuery,
      response: ruleResponse,
      answer: 'page',
      async handle({ caller, query }) {
        const page = await redaction.list(caller, { ...query, perPage: query.per_page });
        return { ...page, rows: page.rows.map((rule) => ruleWire(caller.principal.scope, rule)) };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/redaction-rules',
      summary: 'Create a redaction rule',
      permission: 'redaction-rules:write',
      audit: 'redaction_rule.create',
      body: createRuleBody,
      response: ruleResponse,
      errors: ['conflict'],
      status: 201,
      handle: ({ caller, body }) => redaction.create(caller, body),
      wire: (rule, { caller }) => ruleWire(caller.principal.scope, rule),
    }),
    route({
      method: 'POST',
      path: '/v1/redaction-rules/test',
      summary: 'See what rules make of a sample; nothing is stored',
      permission: 'redaction-rules:write',
      audit: null,
      body: testBody,
      response: testResponse,
      noStore: true,
      handle: ({ caller, body }) => redaction.test(caller, body),
    }),
    route({
      method: 'GET',
      path: '/v1/redaction-rules/:id',
      summary: 'Read a redaction rule',
      permission: 'redaction-rules:read',
      audit: null,
      params: ruleParams,
      response: ruleResponse,
      async handle({ caller, params }) {
        return ruleWire(caller.principal.scope, await redaction.get(caller, params.id));
      },
    }),
    route({
      method: 'PATCH',
      path: '/v1/redaction-rules/:id',
      summary: 'Change a redaction rule',
      permission: 'redaction-rules:write',
      audit: 'redaction_rule.update',
      params: ruleParams,
      body: updateRuleBody,
      response: ruleResponse,
      handle: ({ caller, params, body }) => redaction.update(caller, params.id, body),
      wire: (rule, { caller }) => ruleWire(caller.principal.scope, rule),
    }),
    route({
      method: 'DELETE',
      path: '/v1/redaction-rules/:id',
      summary: 'Delete a redaction rule',
      permission: 'redaction-rules:write',
      audit: 'redaction_rule.delete',
      params: ruleParams,
      response: deletedResponse,
      handle: ({ caller, params }) => redaction.delete(caller, params.id),
      wire: () => ({ deleted: true }),
    }),
  ];
}
