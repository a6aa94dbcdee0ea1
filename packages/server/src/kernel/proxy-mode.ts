/** How a proxied call came in (contract README §12). */
export const PROXY_MODES = ['route', 'ephemeral'] as const;
export type ProxyMode = (typeof PROXY_MODES)[number];
