import { z } from 'zod';
import { instantText } from '../../../platform/http/pagination.js';
import { type RouteDefinition, route } from '../../../platform/http/route.js';
import { environmentName } from '../../environments/index.js';
import type { InterceptManifest } from './service.js';

/** How long an SDK goes by what it has read. */
const TTL_SECONDS = 60;

const manifestQuery = z.object({
  environment: environmentName.optional().describe('Absent: the default environment.'),
});

const manifestResponse = z
  .object({
    version: z.string().describe('`sha256:` and a hash of the rest; the weak ETag of the answer.'),
    ttl_seconds: z.number().int().describe('Ask again after so many.'),
    environment: z.string(),
    sandbox: z.boolean(),
    routes: z
      .array(
        z.object({
          host: z.string().describe('In lower case, without port and dot at its end.'),
          base_path: z.string(),
          slug: z.string().nullable(),
          route_id: z.string().meta({ format: 'uuid' }),
          requires_clients: z.boolean(),
          allowed_methods: z.array(z.string()).nullable().describe('Null: any.'),
          ambiguous: z
            .boolean()
            .optional()
            .describe('True: another route has the same host and base path, so that neither is diverted to.'),
          updated_at: instantText,
        }),
      )
      .describe('By host, then the longest base path, then slug.'),
  })
  .meta({ id: 'InterceptManifest' });

export function interceptManifestRoutes(manifest: InterceptManifest): RouteDefinition[] {
  return [
    route({
      method: 'GET',
      path: '/v1/wrap/intercept-manifest',
      summary: 'Read which calls SDKs send to routes by themselves',
      permission: 'routes:read',
      audit: null,
      query: manifestQuery,
      response: manifestResponse,
      etag: ({ version }: { readonly version: string }) => `W/"${version}"`,
      async handle({ caller, query }) {
        const { version, ...content } = await manifest.of(caller, query.environment ?? null);
        return { version, ttl_seconds: TTL_SECONDS, ...content };
      },
    }),
  ];
}
