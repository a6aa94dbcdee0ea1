import type { Migration } from '../../storage/migration.js';

/** One clock for all processes: the database's (docs/decisions/0047). SQLite has one process, whose clock it is. */
export const generationStampsMigration: Migration = {
  id: '0022-generation-stamps',
  file: 'main',
  statements: ({ dialect }) => (dialect === 'postgres' ? POSTGRES : []),
};

const NOW_MS = 'floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint';

const POSTGRES = [
  // A stamp of a process that was ahead would hide what follows it.
  `UPDATE generations SET changed_at = LEAST(changed_at, ${NOW_MS})`,
  `CREATE FUNCTION stamp_generation() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    NEW.changed_at := ${NOW_MS};
    RETURN NEW;
  END $$`,
  `CREATE TRIGGER generations_stamp BEFORE INSERT OR UPDATE ON generations
    FOR EACH ROW EXECUTE FUNCTION stamp_generation()`,
];
