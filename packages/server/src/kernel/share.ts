/** Who asks for what is being made waits for it, in place of making it too. Holds nothing that is not under way. */
export function createShare<T>(): (name: string, make: () => Promise<T>) => Promise<T> {
  const underWay = new Map<string, Promise<T>>();
  return (name, make) => {
    const known = underWay.get(name);
    if (known) return known;
    const made = make().finally(() => underWay.delete(name));
    underWay.set(name, made);
    return made;
  };
}
