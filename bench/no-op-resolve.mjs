// The one place where the built server takes its list of endpoints from gets a longer one.
const ROUTES = new URL('./no-op-routes.mjs', import.meta.url).href;

export function resolve(specifier, context, next) {
  const isList =
    specifier === './management-routes.js' && context.parentURL?.endsWith('/dist/app/http-apis.js');
  return isList ? { url: ROUTES, shortCircuit: true } : next(specifier, context);
}
