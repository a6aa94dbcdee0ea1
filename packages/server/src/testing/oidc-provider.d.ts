/** The part of oidc-provider 9 that the tests use; the package has no types of its own. */
declare module 'oidc-provider' {
  import type { IncomingMessage, ServerResponse } from 'node:http';

  export interface TokenContext {
    body: unknown;
    readonly oidc: {
      readonly client: { readonly clientId: string };
      readonly params: Readonly<Record<string, string | undefined>>;
      readonly provider: Provider;
    };
  }
  interface Saved {
    save(): Promise<string>;
  }
  export class Provider {
    constructor(issuer: string, configuration: Readonly<Record<string, unknown>>);
    callback(): (request: IncomingMessage, response: ServerResponse) => void;
    interactionDetails(
      request: IncomingMessage,
      response: ServerResponse,
    ): Promise<{ readonly params: Readonly<Record<string, string>> }>;
    interactionFinished(
      request: IncomingMessage,
      response: ServerResponse,
      result: Readonly<Record<string, unknown>>,
      options?: { readonly mergeWithLastSubmission: boolean },
    ): Promise<void>;
    registerGrantType(
      name: string,
      handler: (context: TokenContext) => Promise<void>,
      params: readonly string[],
    ): void;
    on(event: 'grant.success', listener: (context: TokenContext) => void): void;
    on(event: 'grant.error', listener: (context: TokenContext, error: Error) => void): void;
    readonly Client: { readonly prototype: { redirectUriAllowed(uri: string): boolean } };
    readonly Grant: new (
      of: Readonly<Record<string, unknown>>,
    ) => Saved & { addOIDCScope(scope: string): void };
    readonly AccessToken: new (
      of: Readonly<Record<string, unknown>>,
    ) => Saved & { readonly expiration: number };
  }
  export const errors: { readonly InvalidGrant: new (description: string) => Error };
}
