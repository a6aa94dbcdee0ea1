import { modeOf, type Scope } from '../../../kernel/ids.js';
import type { EnvelopePlace, TenantKeys } from '../../kms/index.js';
import { CONTENT } from '../envelope-columns.js';

/** What was received and is to be passed on. */
export interface Content {
  /** With its question mark, or empty. */
  readonly query: string;
  /** Flat name, value list of what may go on. */
  readonly headers: readonly string[];
  readonly via: string;
  readonly body: Buffer;
}

/** Both may call a KMS, so never inside a transaction. */
export interface SealedContents {
  seal(scope: Scope, id: string, content: Content): Promise<Buffer>;
  open(scope: Scope, id: string, envelope: Buffer): Promise<Content>;
}

const LENGTH_BYTES = 4;

export function createSealedContents(tenantKeys: Pick<TenantKeys, 'seal' | 'open'>): SealedContents {
  return {
    seal(scope, id, { body, ...head }) {
      const text = Buffer.from(JSON.stringify(head), 'utf8');
      const length = Buffer.alloc(LENGTH_BYTES);
      length.writeUInt32BE(text.length);
      return tenantKeys.seal(placeOf(scope, id), Buffer.concat([length, text, body]));
    },
    async open(scope, id, envelope) {
      const plain = await tenantKeys.open(placeOf(scope, id), envelope);
      const end = LENGTH_BYTES + plain.readUInt32BE(0);
      const head = JSON.parse(plain.toString('utf8', LENGTH_BYTES, end)) as Omit<Content, 'body'>;
      return { ...head, body: plain.subarray(end) };
    },
  };
}

function placeOf(scope: Scope, rowId: string): EnvelopePlace {
  const { table, column } = CONTENT;
  return { tenantId: scope.tenantId, mode: modeOf(scope), table, rowId, column };
}
