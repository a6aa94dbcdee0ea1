import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { FastifyPluginAsync } from 'fastify';
import type { Describe } from '../../platform/http/openapi/document.js';

export interface ApiDocsDeps {
  /** Made when the first reader asks. */
  describe(): object;
}

/** Everything comes from this server, and no page may frame it: a reader may type a key into it. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>KnoxCall API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="stylesheet" href="/docs/page.css">
</head>
<body>
<noscript>This page needs JavaScript. The description itself is at <a href="/openapi.json">/openapi.json</a>.</noscript>
<main id="api"></main>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/page.js"></script>
</body>
</html>
`;

/** No validator of others is asked, and a key that was typed in is gone with the page. */
const SCRIPT = `document.documentElement.classList.toggle('dark-mode', matchMedia('(prefers-color-scheme: dark)').matches);
SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#api',
  deepLinking: true,
  docExpansion: 'list',
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  persistAuthorization: false,
  validatorUrl: null,
});
`;

/** No operation has links, and their empty column is too much for a narrow window. */
const STYLE = `body { margin: 0; }
.swagger-ui .response-col_links { display: none; }
.swagger-ui .opblock-body { overflow-x: auto; }
`;

const require = createRequire(import.meta.url);
const PACKAGED = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
} as const;

/** The description of the API, for programs and for people. Open: it says nothing of who uses it. */
export function createApiDocs({ describe }: ApiDocsDeps): FastifyPluginAsync {
  let description: string | null = null;
  return async (scope) => {
    scope.addHook('onSend', async (_request, reply) => {
      reply.header('content-security-policy', POLICY);
      reply.header('x-content-type-options', 'nosniff').header('referrer-policy', 'no-referrer');
    });

    scope.get('/openapi.json', async (_request, reply) => {
      description ??= JSON.stringify(describe());
      reply.header('content-type', 'application/json; charset=utf-8').header('cache-control', 'no-cache');
      return description;
    });

    for (const [path, type, text] of [
      ['/docs', 'text/html', PAGE],
      ['/docs/page.js', 'text/javascript', SCRIPT],
      ['/docs/page.css', 'text/css', STYLE],
    ] as const) {
      scope.get(path, async (_request, reply) => {
        reply.header('content-type', `${type}; charset=utf-8`).header('cache-control', 'no-cache');
        return text;
      });
    }

    for (const [name, type] of Object.entries(PACKAGED)) {
      scope.get(`/docs/${name}`, async (_request, reply) => {
        const file = require.resolve(`swagger-ui-dist/${name}`);
        const { size } = await stat(file);
        reply.header('content-type', type).header('content-length', size);
        reply.header('cache-control', 'public, max-age=3600');
        // Two megabytes that few ask for: from the disk, not from memory.
        return createReadStream(file);
      });
    }
  };
}

export const describeApiDocs: Describe = () => [
  {
    method: 'GET',
    path: '/openapi.json',
    operationId: 'getApiDescription',
    summary: 'This description',
    credential: 'none',
    permission: null,
    answers: {
      200: { description: 'OpenAPI 3.1.', content: { 'application/json': { schema: { type: 'object' } } } },
    },
    errors: ['validation_error'],
  },
  {
    method: 'GET',
    path: '/docs',
    operationId: 'getApiDocs',
    summary: 'This description as a page',
    credential: 'none',
    permission: null,
    answers: { 200: { description: 'HTML.', content: { 'text/html': { schema: { type: 'string' } } } } },
    errors: ['validation_error'],
  },
];
