/** The runtime's own steps: where each projection stands, who runs it, what was decided about single events. */
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

export const OWNERS_MIGRATION = {
  id: 'read/005-owners-and-decisions',
  sql: `
-- One owner each. A lease ends with its time, or at once with the connection that took it: a killed
-- process is replaced without waiting, a frozen one after the lease. The epoch fences off its late commits.
ALTER TABLE read.checkpoints
  ADD COLUMN owner text,
  ADD COLUMN epoch bigint NOT NULL DEFAULT 0,
  ADD COLUMN lease_until timestamptz NOT NULL DEFAULT '-infinity',
  ADD COLUMN heartbeat_at timestamptz,
  ADD COLUMN backend int,
  ADD COLUMN backend_start timestamptz,
  ADD COLUMN problem text;

-- Events that a person decided to pass over, and events that an effect waits to be tried again for.
CREATE TABLE read.skips (
  projection text NOT NULL,
  position   bigint NOT NULL,
  reason     text NOT NULL,
  decided_by text NOT NULL,
  decided_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (projection, position)
);
CREATE TABLE read.parked (
  projection text NOT NULL,
  position   bigint NOT NULL,
  stream     text COLLATE "C" NOT NULL,
  type       text NOT NULL,
  reason     text NOT NULL,
  parked_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (projection, position)
);

-- The model that a rebuild replaced, kept to go back to, and the one that is being built.
CREATE TABLE read.previous (
  projection text PRIMARY KEY,
  position   bigint NOT NULL,
  replaced_at timestamptz NOT NULL DEFAULT now()
);
CREATE SCHEMA read_previous;
CREATE SCHEMA read_next;
`,
} as const;
