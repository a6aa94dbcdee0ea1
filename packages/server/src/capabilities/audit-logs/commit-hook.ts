/** What `openDatabase` gives to SQLite's writer, so that it seals what it commits. */
export const commitHook = new URL('./chain/sqlite-commit-hook.mjs', import.meta.url);
