/** Well-known ports of what speaks no HTTP or must not be spoken to (contract README §9). */
const REFUSED_PORTS: ReadonlySet<number> = new Set([
  // database, search
  1433, 1434, 1521, 2483, 2484, 3306, 5432, 5984, 6984, 7687, 8086, 9042, 9200, 9300, 26257, 27017, 27018,
  27019, 28015,
  // cache
  6379, 6380, 11211, 16379, 26379,
  // queue, coordination
  1883, 2181, 4222, 5671, 5672, 8883, 9092, 9093, 15672,
  // mail
  2525,
  // container, cluster
  2375, 2376, 2377, 2379, 2380, 6443, 8500, 8501, 10250, 10255, 10256,
  // file, admin
  2049, 3389, 5900, 5901, 5985, 5986,
]);

/** 443 and 1024..65535 but for the list. */
export function isPortOpenToAll(port: number): boolean {
  return port === 443 || (port >= 1024 && port <= 65_535 && !REFUSED_PORTS.has(port));
}

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** `22`, `8000-8100`, several joined by `+`. Null when malformed. */
export function parsePortRanges(text: string): readonly PortRange[] | null {
  const found: PortRange[] = [];
  for (const part of text.split('+')) {
    const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part);
    if (!match) return null;
    const first = Number(match[1]);
    const last = Number(match[2] ?? match[1]);
    if (first < 1 || last > 65_535 || first > last) return null;
    found.push({ first, last });
  }
  return found;
}

export function inPortRanges(ports: readonly PortRange[], port: number): boolean {
  return ports.some(({ first, last }) => port >= first && port <= last);
}
