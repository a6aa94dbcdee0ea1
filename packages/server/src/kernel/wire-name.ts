/** `allowedHosts` as it stands on the wire: `allowed_hosts`. */
export function wireName(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
