import { describe, expect, it } from 'vitest';
import { cidrContains, parseCidr, parseIpAddress } from '../../../kernel/ip-address.js';
import { readNetwork } from '../network.js';
import { createNetworkIndexBuilder } from './network-index.js';

const keyOf = (text: string) => {
  const reading = readNetwork(text);
  if ('problem' in reading) throw new Error(reading.problem);
  return reading.network.key;
};

function indexOf(family: 4 | 6, networks: readonly string[]) {
  const builder = createNetworkIndexBuilder<string>(family);
  const sorted = networks
    .map((text) => ({ text, key: keyOf(text) }))
    .sort((a, b) => (a.key < b.key ? -1 : 1));
  for (const { key, text } of sorted) builder.add(key, text);
  const index = builder.build();
  return (address: string, accept: (text: string) => boolean = () => true) =>
    index.find(parseIpAddress(address)!, accept);
}

describe('the networks of an address', () => {
  it('are found from the longest prefix outwards', () => {
    const find = indexOf(4, [
      '10.0.0.0/8',
      '10.1.0.0/16',
      '10.1.2.0/24',
      '10.1.2.3',
      '10.1.9.0/24',
      '11.0.0.0/8',
    ]);
    expect(find('10.1.2.3')).toBe('10.1.2.3');
    expect(find('10.1.2.4')).toBe('10.1.2.0/24');
    expect(find('10.1.10.1')).toBe('10.1.0.0/16');
    expect(find('10.255.255.255')).toBe('10.0.0.0/8');
    expect(find('11.0.0.0')).toBe('11.0.0.0/8');
    expect([find('12.0.0.0'), find('9.255.255.255'), find('0.0.0.0')]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(find('10.1.2.3', (text) => text.endsWith('/8'))).toBe('10.0.0.0/8');
    expect(find('10.1.2.3', () => false)).toBeUndefined();
  });

  it('of one network come in the order in which they were added', () => {
    const builder = createNetworkIndexBuilder<string>(4);
    for (const item of ['old', 'new']) builder.add(keyOf('10.0.0.0/8'), item);
    const index = builder.build();
    expect(index.find(parseIpAddress('10.9.9.9')!, () => true)).toBe('old');
    expect(index.find(parseIpAddress('10.9.9.9')!, (item) => item !== 'old')).toBe('new');
  });

  it('are none where there is no network', () => {
    expect(indexOf(4, [])('10.0.0.1')).toBeUndefined();
    expect(indexOf(6, [])('::1')).toBeUndefined();
  });

  it.each([4, 6] as const)('of family %i are those of a look at each, on drawn networks', (family) => {
    // Few leading bits, so that many lie in each other; a drawn sequence that is the same in every run.
    let state = 42;
    const draw = (below: number) => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return (state >>> 8) % below;
    };
    const address = () =>
      family === 4
        ? `${[10, 11, 128][draw(3)]}.${draw(4)}.${draw(4)}.${draw(256)}`
        : `2001:db8:${draw(3)}:${draw(3)}:${draw(2)}::${draw(65_536).toString(16)}`;
    const bits = family === 4 ? 32 : 128;
    const networks = new Map<string, string>();
    for (let i = 0; i < 400; i++) {
      const text = `${address()}/${1 + draw(bits)}`;
      networks.set(keyOf(text), text);
    }
    const find = indexOf(family, [...networks.values()]);
    const masked = [...networks].map(([key, text]) => ({ text, cidr: cidrOf(key) }));
    let found = 0;
    for (let i = 0; i < 2_000; i++) {
      const asked = address();
      const inside = masked
        .filter(({ cidr }) => cidrContains(cidr, parseIpAddress(asked)!))
        .sort((a, b) => b.cidr.prefix - a.cidr.prefix);
      expect([asked, find(asked)]).toEqual([asked, inside[0]?.text]);
      expect([asked, find(asked, (text) => text !== inside[0]?.text)]).toEqual([asked, inside[1]?.text]);
      if (inside.length > 1) found += 1;
    }
    expect(found).toBeGreaterThan(500);
  });
});

/** From the masked address of a key. */
function cidrOf(key: string) {
  const bytes = Buffer.from(key.slice(1, -2), 'hex');
  const text =
    bytes.length === 4
      ? bytes.join('.')
      : Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(i * 2).toString(16)).join(':');
  return parseCidr(`${text}/${Number.parseInt(key.slice(-2), 16)}`)!;
}
