// The peer of the authorization server: oidc-provider in its in-memory configuration.
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const { clientId, clientSecret, scope, ttlSeconds } = JSON.parse(process.argv[2]);

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address();
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    clients: [
      {
        client_id: clientId,
        client_secret: clientSecret,
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
        scope,
        token_endpoint_auth_method: 'client_secret_basic',
      },
    ],
    scopes: [scope],
    features: {
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      devInteractions: { enabled: false },
    },
    ttl: { ClientCredentials: ttlSeconds },
  });
  server.on('request', provider.callback());
  console.log(JSON.stringify({ port }));
});
