export interface MigratedDatabases {
  /** Of all migrations: a test that asks for others makes its tables itself. */
  readonly migrationIds: string;
  readonly sqlite: { readonly path: string; readonly logPath: string };
  /** Name of a database; null where there is no server. */
  readonly postgres: string | null;
}

declare module 'vitest' {
  interface ProvidedContext {
    migratedDatabases: MigratedDatabases;
  }
}

export const idsOf = (migrations: readonly { readonly id: string }[]) =>
  migrations.map(({ id }) => id).join();
