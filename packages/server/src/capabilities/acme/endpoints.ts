import type { Clock } from '../../kernel/clock.js';
import type { AcmeAccounts } from './accounts.js';
import type { AcmeAuthorizations } from './authorizations.js';
import type { AcmeOrders, OrderDetail } from './orders.js';
import type { AcmeRevocations } from './revocations.js';
import type { AcmeCall, SignedRequests } from './signed-requests.js';
import type { AcmeUrls } from './urls.js';
import { accountWire, authorizationWire, challengeWire, orderWire } from './wire.js';

export interface AcmeAnswer {
  readonly status: 200 | 201;
  readonly headers?: Readonly<Record<string, string>>;
  /** A text is a chain of certificates in PEM; null is nothing at all. */
  readonly body: object | string | null;
}

/** A POST below a directory (RFC 8555 §7.1). */
export interface AcmeEndpoint {
  /** With parameters as routers write them. */
  readonly path: string;
  answer(
    call: AcmeCall,
    params: { readonly id: string; readonly cursor: string | null },
  ): Promise<AcmeAnswer>;
}

export interface EndpointsDeps {
  readonly clock: Clock;
  readonly requests: SignedRequests;
  readonly accounts: AcmeAccounts;
  readonly orders: AcmeOrders;
  readonly authorizations: AcmeAuthorizations;
  readonly revocations: AcmeRevocations;
}

const RETRY_SECONDS = '1';

export function acmeEndpoints(deps: EndpointsDeps): readonly AcmeEndpoint[] {
  const { clock, requests, accounts, orders, authorizations, revocations } = deps;

  function orderAnswer(urls: AcmeUrls, { order, authorizations: all }: OrderDetail): AcmeAnswer {
    const body = orderWire(urls, order, all, clock.nowMs());
    const isUnderWay = body.status === 'processing';
    return {
      status: 200,
      headers: { location: urls.order(order.id), ...(isUnderWay && { 'retry-after': RETRY_SECONDS }) },
      body,
    };
  }

  return [
    {
      path: '/new-account',
      async answer(call) {
        const { account, isNew } = await accounts.create(call, await requests.byKey(call));
        const headers = { location: call.urls.account(account.id) };
        return { status: isNew ? 201 : 200, headers, body: accountWire(call.urls, account) };
      },
    },
    {
      path: '/account/:id',
      async answer(call, { id }) {
        const account = await accounts.update(call, await requests.byAccount(call), id);
        return { status: 200, body: accountWire(call.urls, account) };
      },
    },
    {
      path: '/account/:id/orders',
      async answer(call, { id, cursor }) {
        const page = await orders.list(call, await requests.byAccount(call), id, cursor);
        const next = page.next === null ? null : `${call.urls.orders(id)}?cursor=${page.next}`;
        return {
          status: 200,
          ...(next && { headers: { link: `<${next}>;rel="next"` } }),
          body: { orders: page.ids.map((one) => call.urls.order(one)) },
        };
      },
    },
    {
      path: '/new-order',
      async answer(call) {
        const detail = await orders.create(call, await requests.byAccount(call));
        return { ...orderAnswer(call.urls, detail), status: 201 };
      },
    },
    {
      path: '/order/:id',
      answer: async (call, { id }) =>
        orderAnswer(call.urls, await orders.get(call, await requests.byAccount(call), id)),
    },
    {
      path: '/order/:id/finalize',
      answer: async (call, { id }) =>
        orderAnswer(call.urls, await orders.finalize(call, await requests.byAccount(call), id)),
    },
    {
      path: '/certificate/:id',
      answer: async (call, { id }) => ({
        status: 200,
        body: await orders.certificate(call, await requests.byAccount(call), id),
      }),
    },
    {
      path: '/authorization/:id',
      async answer(call, { id }) {
        const found = await authorizations.update(call, await requests.byAccount(call), id);
        const { authorization, challenges } = found;
        const isUnderWay = challenges.some(({ status }) => status === 'processing');
        return {
          status: 200,
          ...(isUnderWay && { headers: { 'retry-after': RETRY_SECONDS } }),
          body: authorizationWire(call.urls, authorization, challenges, clock.nowMs()),
        };
      },
    },
    {
      path: '/challenge/:id',
      async answer(call, { id }) {
        const found = await authorizations.respond(call, await requests.byAccount(call), id);
        const { authorization, challenge } = found;
        const isUnderWay = challenge.status === 'processing';
        return {
          status: 200,
          headers: {
            link: `<${call.urls.authorization(authorization.id)}>;rel="up"`,
            ...(isUnderWay && { 'retry-after': RETRY_SECONDS }),
          },
          body: challengeWire(call.urls, challenge),
        };
      },
    },
    {
      path: '/revoke-cert',
      async answer(call) {
        await revocations.revoke(call, await requests.byEither(call));
        return { status: 200, body: null };
      },
    },
    {
      path: '/key-change',
      async answer(call) {
        const account = await accounts.changeKey(call, await requests.byAccount(call));
        const headers = { location: call.urls.account(account.id) };
        return { status: 200, headers, body: accountWire(call.urls, account) };
      },
    },
  ];
}
