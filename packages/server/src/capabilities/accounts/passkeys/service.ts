import type {
  AuthenticationResponseJSON,
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialRequestOptionsJSON,
  RegistrationResponseJSON,
} from '@simplewebauthn/server';
import { notFound, validationError } from '../../../kernel/errors.js';
import type { IdSource, UserId } from '../../../kernel/ids.js';
import { LIMITS } from '../../../kernel/limits.js';
import type { SessionCaller } from '../../../kernel/principal.js';
import type { Secret } from '../../../kernel/secret.js';
import type { Origins } from '../../../platform/http/origins.js';
import type { AuditLogs } from '../../audit-logs/index.js';
import { recordOfUser } from '../audit.js';
import { tooManyPasskeys } from '../errors.js';
import type { Factors } from '../factors/service.js';
import type { ProvenFactor } from '../factors/types.js';
import type { Membership, SignedIn } from '../sessions/service.js';
import { createSessionStore } from '../sessions/store.js';
import { type ChallengeFor, type ChallengesDeps, createChallenges } from './challenges.js';
import { type RelyingParty, relyingPartyOf } from './relying-party.js';
import { createPasskeyStore, type Passkey } from './store.js';

export interface PasskeysDeps extends ChallengesDeps {
  readonly ids: IdSource;
  readonly origins: Origins;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly factors: Pick<Factors, 'firstRecoveryCodes' | 'removeLeftover'>;
  /** The caller with its tenants. */
  me(caller: SessionCaller): Promise<SignedIn>;
}

export interface EnrolledPasskey {
  readonly passkey: Passkey;
  /** Null: those of before are good. */
  readonly recoveryCodes: readonly Secret<string>[] | null;
}

/** An assertion that is right, of the user whose passkey it is. */
export interface ProvenPasskey extends ProvenFactor {
  readonly userId: UserId;
}

/** Passkeys (WebAuthn level 3): the device verifies its user, so that each is several factors by itself. */
export interface Passkeys {
  enrolOptions(caller: SessionCaller): Promise<PublicKeyCredentialCreationOptionsJSON>;
  enrol(caller: SessionCaller, name: string, response: RegistrationResponseJSON): Promise<EnrolledPasskey>;
  list(userId: UserId): Promise<Passkey[]>;
  /** 404 for any but the caller's own. */
  remove(caller: SessionCaller, id: string): Promise<void>;
  /** For the passkeys of that user; null = for whichever the browser has. */
  options(userId: UserId | null, of: ChallengeFor): Promise<PublicKeyCredentialRequestOptionsJSON>;
  /** Undefined where it is not right, not that user's, or the counter tells of a copy. */
  verify(
    userId: UserId | null,
    response: AuthenticationResponseJSON,
    of: ChallengeFor,
  ): Promise<ProvenPasskey | undefined>;
  /** Whose passkey it says to be. */
  ownerOf(credentialId: string): Promise<UserId | undefined>;
  removeEnded(rowsMax: number): Promise<number>;
}

const NAME = 'KnoxCall';

export function createPasskeys(deps: PasskeysDeps): Passkeys {
  const { db, clock, ids, origins, auditLogs, factors, me } = deps;
  const store = createPasskeyStore(db);
  const users = createSessionStore(db);
  const challenges = createChallenges(deps);
  // With its ASN.1 parsers it takes some MiB, which an installation without passkeys saves.
  const library = () => import('@simplewebauthn/server');

  function partyOf(memberships: readonly Membership[]): RelyingParty {
    return relyingPartyOf(
      origins,
      memberships.map(({ slug }) => slug),
    );
  }

  return {
    async enrolOptions(caller) {
      const { user, memberships } = await me(caller);
      const { generateRegistrationOptions } = await library();
      const present = await store.list(user.id, LIMITS.passkeysPerUserMax);
      return generateRegistrationOptions({
        rpName: NAME,
        rpID: partyOf(memberships).id,
        userName: user.email,
        userDisplayName: user.email,
        userID: userHandleOf(user.id),
        challenge: Uint8Array.from(Buffer.from(challenges.issue(enrolmentOf(caller)), 'base64url')),
        timeout: LIMITS.passkeyChallengeMs,
        attestationType: 'none',
        excludeCredentials: present.map(({ credentialId, transports }) => ({
          id: credentialId,
          transports: [...transports],
        })),
        // Discoverable, so that a sign-in needs no address.
        authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
      });
    },

    async enrol(caller, name, response) {
      const { userId } = caller;
      const { memberships } = await me(caller);
      const { verifyRegistrationResponse } = await library();
      const party = partyOf(memberships);
      let challenge = '';
      const { registrationInfo } = await verifyRegistrationResponse({
        response,
        expectedChallenge: (given) => {
          challenge = given;
          return challenges.isGood(given, enrolmentOf(caller));
        },
        expectedOrigin: [...party.origins],
        expectedRPID: party.id,
        requireUserVerification: true,
      }).catch(() => ({ registrationInfo: undefined }));
      if (!registrationInfo) throw notAsAsked();
      const { credential, credentialDeviceType } = registrationInfo;
      const passkey: Passkey = {
        id: ids.uuid(),
        userId,
        credentialId: credential.id,
        publicKey: Buffer.from(credential.publicKey),
        counter: credential.counter,
        transports: credential.transports ?? [],
        isSynced: credentialDeviceType === 'multiDevice',
        name,
        createdAtMs: clock.nowMs(),
        lastUsedAtMs: null,
      };
      const tenants = memberships.map(({ tenantId }) => tenantId);
      return db.transaction(async (tx) => {
        if (!(await challenges.use(tx, challenge))) throw notAsAsked();
        const present = await store.list(userId, LIMITS.passkeysPerUserMax, tx);
        if (present.length >= LIMITS.passkeysPerUserMax) throw tooManyPasskeys();
        if (!(await store.insert(tx, passkey))) throw notAsAsked();
        const of = { tenants, userId, visitor: caller };
        const details = { method: 'webauthn', passkey_id: passkey.id, name };
        await recordOfUser(tx, auditLogs, of, 'auth.mfa.enroll', details);
        return { passkey, recoveryCodes: await factors.firstRecoveryCodes(tx, userId) };
      });
    },

    list: (userId) => store.list(userId, LIMITS.passkeysPerUserMax),

    async remove(caller, id) {
      const { userId } = caller;
      const tenants = (await me(caller)).memberships.map(({ tenantId }) => tenantId);
      await db.transaction(async (tx) => {
        if (!(await store.remove(tx, userId, id))) throw notFound('Passkey');
        await factors.removeLeftover(tx, userId);
        const of = { tenants, userId, visitor: caller };
        const details = { method: 'webauthn', passkey_id: id };
        await recordOfUser(tx, auditLogs, of, 'auth.mfa.remove', details);
      });
    },

    async options(userId, of) {
      const { generateAuthenticationOptions } = await library();
      const allowed = userId === null ? [] : await store.list(userId, LIMITS.passkeysPerUserMax);
      return generateAuthenticationOptions({
        rpID: partyOf([]).id,
        challenge: Uint8Array.from(Buffer.from(challenges.issue(of), 'base64url')),
        timeout: LIMITS.passkeyChallengeMs,
        userVerification: 'required',
        ...(userId !== null && {
          allowCredentials: allowed.map(({ credentialId, transports }) => ({
            id: credentialId,
            transports: [...transports],
          })),
        }),
      });
    },

    async verify(userId, response, of) {
      const passkey = await store.findByCredential(response.id);
      if (!passkey || (userId !== null && passkey.userId !== userId)) return undefined;
      const { userHandle } = response.response;
      if (userHandle && userHandle !== Buffer.from(userHandleOf(passkey.userId)).toString('base64url'))
        return undefined;
      const found = await users.findUser(passkey.userId);
      if (!found) return undefined;
      const party = partyOf(found.memberships);
      const { verifyAuthenticationResponse } = await library();
      let challenge = '';
      const result = await verifyAuthenticationResponse({
        response,
        expectedChallenge: (given) => {
          challenge = given;
          return challenges.isGood(given, of);
        },
        expectedOrigin: [...party.origins],
        expectedRPID: party.id,
        credential: {
          id: passkey.credentialId,
          publicKey: Uint8Array.from(passkey.publicKey),
          counter: passkey.counter,
        },
        requireUserVerification: true,
      }).catch(() => ({ verified: false as const, authenticationInfo: null }));
      if (!result.verified || !result.authenticationInfo) return undefined;
      const { newCounter } = result.authenticationInfo;
      return {
        userId: passkey.userId,
        // RFC 8176: a key in hardware, or one that software carries from device to device.
        amr: [passkey.isSynced ? 'swk' : 'hwk'],
        async use(tx) {
          if (!(await challenges.use(tx, challenge))) return false;
          return store.use(tx, passkey, newCounter, clock.nowMs());
        },
      };
    },

    ownerOf: async (credentialId) => (await store.findByCredential(credentialId))?.userId,

    removeEnded: (rowsMax) => challenges.removeEnded(rowsMax),
  };
}

function enrolmentOf({ userId, sessionId }: SessionCaller): ChallengeFor {
  return { purpose: 'enrol', subject: `${userId}\0${sessionId}` };
}

/** Says nothing of the person (WebAuthn §14.6.1). */
function userHandleOf(userId: UserId): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.from(userId.replaceAll('-', ''), 'hex'));
}

function notAsAsked() {
  return validationError(
    'response',
    'is not a new passkey of this user for this server, as it was asked for',
  );
}
