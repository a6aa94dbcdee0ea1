import { assert } from '../../../kernel/assert.js';
import { API_VERSION } from '../caller.js';
import type { MountedRoute } from '../mounts.js';
import { type Components, createComponents, type JsonObject } from './components.js';
import { describeRoute } from './describe-route.js';
import { type Described, operationOf } from './operation.js';

export interface Tag {
  readonly name: string;
  readonly description: string;
}

export interface DocumentInput {
  readonly info: JsonObject;
  readonly securitySchemes: JsonObject;
  readonly security: readonly JsonObject[];
  readonly routes: readonly MountedRoute[];
  /** Endpoints without a definition, each described beside its registration. */
  readonly described: readonly Describe[];
  tagOf(path: string): Tag;
}

export type Describe = (components: Components) => readonly Described[];

/** OpenAPI 3.1.1. */
export function openApiDocument(input: DocumentInput): JsonObject {
  const components = createComponents();
  const tags = new Map<string, Tag>();
  const paths: Record<string, JsonObject> = {};
  const operationIds = new Set<string>();
  const endpoints = [
    ...input.routes.map((route) => describeRoute(route, components)),
    ...input.described.flatMap((describe) => describe(components)),
  ];
  for (const endpoint of endpoints) {
    const { operationId } = endpoint;
    assert(!operationIds.has(operationId), `two endpoints have the operationId ${operationId}`);
    operationIds.add(operationId);
    const tag = input.tagOf(endpoint.path);
    tags.set(tag.name, tag);
    const path = endpoint.path.replace(/:([A-Za-z_]+)/g, '{$1}');
    paths[path] ??= {};
    paths[path][endpoint.method.toLowerCase()] = operationOf(endpoint, tag.name, components);
  }
  return {
    openapi: '3.1.1',
    info: { version: API_VERSION, ...input.info },
    servers: [{ url: '/', description: 'This server.' }],
    security: input.security,
    tags: [...tags.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
    paths: Object.fromEntries(Object.entries(paths).sort(([a], [b]) => (a < b ? -1 : 1))),
    components: { securitySchemes: input.securitySchemes, ...components.all() },
  };
}
