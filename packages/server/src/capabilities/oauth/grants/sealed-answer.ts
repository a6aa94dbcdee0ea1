import { modeOf } from '../../../kernel/ids.js';
import { Secret } from '../../../kernel/secret.js';
import {
  decrypt,
  deriveKey,
  encrypt,
  lengthPrefixed,
} from '../../../platform/crypto/authenticated-cipher.js';
import type { Random } from '../../../platform/crypto/random.js';
import type { Family } from '../tokens/family-store.js';
import type { TokenAnswer } from './grant.js';

const PURPOSE = 'knox.oauth.refresh_answer';

type Place = Pick<Family, 'id' | 'scope'>;

/** Under a key that only the refresh token gives, which is stored nowhere: what is at rest opens nothing. */
export function sealAnswer(random: Random, refreshToken: string, family: Place, answer: TokenAnswer): Buffer {
  const plaintext = JSON.stringify({
    ...answer,
    accessToken: answer.accessToken.reveal(),
    refreshToken: answer.refreshToken?.reveal(),
  });
  return encrypt(random, keyOf(refreshToken, family), contextOf(family), Buffer.from(plaintext));
}

export function openAnswer(refreshToken: string, family: Place, sealed: Buffer): TokenAnswer {
  const plaintext = decrypt(keyOf(refreshToken, family), contextOf(family), sealed).toString('utf8');
  const kept = JSON.parse(plaintext) as Omit<TokenAnswer, 'accessToken' | 'refreshToken'> & {
    accessToken: string;
    refreshToken: string;
  };
  return {
    ...kept,
    accessToken: new Secret(kept.accessToken),
    refreshToken: new Secret(kept.refreshToken),
  };
}

function keyOf(refreshToken: string, { id }: Place): Buffer {
  return deriveKey(Buffer.from(refreshToken), Buffer.from(id), PURPOSE);
}

function contextOf({ id, scope }: Place): Buffer {
  return lengthPrefixed([scope.tenantId, modeOf(scope), id]);
}
