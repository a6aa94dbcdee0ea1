import { expect, it } from 'vitest';
import { leafHash, leafOf } from './leaf.js';
import { bytesOf } from './tree.js';

const FROM_SQLITE =
  '["17","req_1","t1",null,"c1","api_key","PO\\u0007ST",200,"192.0.2.1","prod",0,1764288000123]';
const FROM_POSTGRES =
  '["17", "req_1", "t1", null, "c1", "api_key", "PO\\u0007ST", 200, "192.0.2.1", "prod", 0, 1764288000123]';
const TEXT =
  '["17","req_1","t1",null,"c1","api_key","PO\\u0007ST",200,"192.0.2.1","prod",false,"2025-11-28T00:00:00.123Z"]';

it('has one text, whichever database put it together', () => {
  for (const stored of [FROM_SQLITE, FROM_POSTGRES]) expect(leafOf(stored)).toEqual({ id: 17, text: TEXT });
  expect(leafOf(FROM_SQLITE.replace(',0,', ',1,')).text).toBe(TEXT.replace('false', 'true'));
});

it('hashes to what it always has', () => {
  const hash = bytesOf(leafHash(leafOf(FROM_SQLITE))).toString('hex');
  expect(hash).toBe('f64c7beb40930a3a4dfffa9ff947efa29d64da96e67e30d616f316cb549cae5a');
});
