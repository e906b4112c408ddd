/** The runtime's own step: one checkpoint per projection. */
export const RUNTIME_MIGRATION = {
  id: 'read/001-checkpoints',
  sql: `
CREATE SCHEMA read;
CREATE TABLE read.checkpoints (
  projection text PRIMARY KEY,
  position   bigint NOT NULL,
  moved_at   timestamptz NOT NULL DEFAULT now()
);
`,
} as const;
