/** Serialises appenders for the length of their transaction: position order is commit order. */
export const APPEND_LOCK = 7_420_002;

/** Steps of the log's schema, for the migration runner. */
export const LOG_MIGRATIONS = [
  {
    id: 'log/001-streams-and-events',
    sql: `
CREATE SCHEMA log;

CREATE TABLE log.streams (
  stream_id text COLLATE "C" PRIMARY KEY,
  revision  bigint NOT NULL
);

-- data and metadata are text, not jsonb: what was signed for is kept byte for byte.
CREATE TABLE log.events (
  position    bigint PRIMARY KEY,
  event_id    uuid NOT NULL UNIQUE,
  stream_id   text COLLATE "C" NOT NULL,
  revision    bigint NOT NULL,
  type        text COLLATE "C" NOT NULL,
  version     smallint NOT NULL,
  recorded_at timestamptz NOT NULL,
  fingerprint uuid NOT NULL,
  data        text NOT NULL,
  metadata    text NOT NULL,
  UNIQUE (stream_id, revision)
);

-- A position is only handed out under the lock, after every lower one has committed or rolled back,
-- so a reader who saw N has seen all below N. Outcomes are rows: a conflict doesn't abort its neighbours.
-- The batch's streams and event ids are distinct (the coalescer sees to it).
-- Columns come as arrays, texts joined by U+001E, which no JSON text or name holds: as json they took twice the time.
-- Answers one row \`whole\` with the head before the batch when all requests began new streams and were appended;
-- otherwise a row per refused request and a row per appended event.
-- plpgsql keeps the plan it made while the tables were empty: look-ups are correlated single-row ones
-- and sequential scans are off, so that the plan is right at any size.
CREATE FUNCTION log.append_batch(
  requests int[], numbers int[], lasts boolean[], expected bigint[], ids uuid[], versions smallint[], prints uuid[],
  joined_streams text, joined_types text, joined_data text, joined_metadata text, atomic boolean)
RETURNS TABLE (outcome text, request int, event uuid, revision bigint, pos bigint)
LANGUAGE plpgsql
SET enable_seqscan = off
AS $$
DECLARE
  streams text[] := string_to_array(joined_streams, E'\\x1e');
  types text[] := string_to_array(joined_types, E'\\x1e');
  data text[] := string_to_array(joined_data, E'\\x1e');
  metadata text[] := string_to_array(joined_metadata, E'\\x1e');
  head bigint;
  instant timestamptz;
  refused int[] := '{}';
  failed boolean := false;
BEGIN
  PERFORM pg_advisory_xact_lock(${APPEND_LOCK});
  SELECT e.position, e.recorded_at INTO head, instant FROM log.events e ORDER BY e.position DESC LIMIT 1;
  head := coalesce(head, 0);
  -- The log's clock never runs backwards, even where the machine's does.
  instant := greatest(instant, clock_timestamp());

  -- Nearly every batch only begins new streams: the unique keys are check enough, and the first clash undoes it for the judging below.
  IF -1 = ALL (expected) THEN
    BEGIN
      INSERT INTO log.streams (stream_id, revision)
      SELECT t.s, t.n FROM unnest(streams, numbers, lasts) AS t(s, n, l) WHERE t.l;
      INSERT INTO log.events (position, event_id, stream_id, revision, type, version, recorded_at, fingerprint, data, metadata)
      SELECT head + t.o, t.i, t.s, t.n, t.t, t.v, instant, t.f, t.d, t.m
      FROM unnest(numbers, streams, ids, types, versions, prints, data, metadata) WITH ORDINALITY AS t(n, s, i, t, v, f, d, m, o);
      RETURN QUERY SELECT 'whole', NULL::int, NULL::uuid, NULL::bigint, head;
      RETURN;
    EXCEPTION WHEN unique_violation THEN
      NULL;
    END;
  END IF;

  FOR outcome, request, event, revision, pos IN
    SELECT CASE
        WHEN j.known = 0 THEN 'conflict'
        WHEN j.known = j.events AND j.same THEN 'duplicate'
        ELSE 'id-conflict'
      END, j.r, j.known_id, CASE j.known WHEN 0 THEN j.current ELSE j.known_revision END, j.known_position
    FROM (
      SELECT t.r, t.x, max(c.revision) AS current, count(*) AS events, count(k.stream_id) AS known,
             bool_and(coalesce(k.stream_id = t.s AND k.fingerprint = t.f, false)) AS same,
             max(k.revision) AS known_revision, max(k.position) AS known_position,
             min(t.i::text) FILTER (WHERE k.stream_id IS NOT NULL)::uuid AS known_id
      FROM unnest(requests, streams, expected, ids, prints) AS t(r, s, x, i, f)
      LEFT JOIN LATERAL (SELECT e.stream_id, e.revision, e.position, e.fingerprint FROM log.events e WHERE e.event_id = t.i) k ON true
      LEFT JOIN LATERAL (SELECT w.revision FROM log.streams w WHERE w.stream_id = t.s) c ON true
      GROUP BY t.r, t.x
    ) j
    WHERE j.known > 0 OR NOT (j.x = -2 OR j.x = coalesce(j.current, -1))
  LOOP
    refused := refused || request;
    failed := failed OR outcome <> 'duplicate';
    RETURN NEXT;
  END LOOP;
  IF atomic AND failed THEN RETURN; END IF;

  RETURN QUERY
  WITH stream_rows AS (
    INSERT INTO log.streams AS w (stream_id, revision)
    SELECT t.s, coalesce((SELECT o.revision FROM log.streams o WHERE o.stream_id = t.s), -1) + 1 + t.n
    FROM unnest(requests, numbers, lasts, streams) AS t(r, n, l, s)
    WHERE t.l AND NOT t.r = ANY (refused)
    ON CONFLICT (stream_id) DO UPDATE SET revision = excluded.revision
  )
  INSERT INTO log.events AS w (position, event_id, stream_id, revision, type, version, recorded_at, fingerprint, data, metadata)
  SELECT head + row_number() OVER (ORDER BY t.r, t.n), t.i, t.s,
         coalesce((SELECT o.revision FROM log.streams o WHERE o.stream_id = t.s), -1) + 1 + t.n,
         t.t, t.v, instant, t.f, t.d, t.m
  FROM unnest(requests, numbers, streams, ids, types, versions, prints, data, metadata) AS t(r, n, s, i, t, v, f, d, m)
  WHERE NOT t.r = ANY (refused)
  RETURNING 'appended', NULL::int, w.event_id, w.revision, w.position;
END $$;

-- recorded_at never decreases along positions and positions are dense, so the last position at an
-- instant is found by halving: some twenty single-row look-ups, and no index to pay for on append.
CREATE FUNCTION log.position_at(wanted timestamptz)
RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
  low bigint := 0;
  high bigint;
  middle bigint;
  found_at timestamptz;
BEGIN
  SELECT coalesce(max(position), 0) INTO high FROM log.events;
  WHILE low < high LOOP
    middle := (low + high + 1) / 2;
    SELECT recorded_at INTO found_at FROM log.events WHERE position = middle;
    IF found_at <= wanted THEN low := middle; ELSE high := middle - 1; END IF;
  END LOOP;
  RETURN low;
END $$;
`,
  },
  {
    id: 'log/002-restore',
    sql: `
-- Events of another log, written at the end of this one as they were. Under the same lock as appends, so positions stay the commit order.
-- Answers one row: what is wrong and with which event (1-based), or NULL and the number of leading events that stood here already.
-- Nearly every batch is new as a whole: when its first event isn't here, the unique keys are check enough for the others.
CREATE FUNCTION log.restore_batch(
  ids uuid[], revisions bigint[], versions smallint[], instants timestamptz[], prints uuid[],
  joined_streams text, joined_types text, joined_data text, joined_metadata text)
RETURNS TABLE (fault text, at bigint, present bigint)
LANGUAGE plpgsql
SET enable_seqscan = off
AS $$
DECLARE
  streams text[] := string_to_array(joined_streams, E'\\x1e');
  types text[] := string_to_array(joined_types, E'\\x1e');
  data text[] := string_to_array(joined_data, E'\\x1e');
  metadata text[] := string_to_array(joined_metadata, E'\\x1e');
  total bigint := cardinality(ids);
  head bigint;
  instant timestamptz;
BEGIN
  PERFORM pg_advisory_xact_lock(${APPEND_LOCK});
  SELECT e.position, e.recorded_at INTO head, instant FROM log.events e ORDER BY e.position DESC LIMIT 1;
  head := coalesce(head, 0);

  -- The leading events that stand here: each as it should be, and in this order.
  present := 0;
  IF EXISTS (SELECT FROM log.events e WHERE e.event_id = ids[1]) THEN
    SELECT count(*) FILTER (WHERE j.leads), min(j.o) FILTER (WHERE j.known AND NOT (j.leads AND j.same AND j.rises))
    INTO present, at
    FROM (
      SELECT t.o, k.position IS NOT NULL AS known,
             bool_and(k.position IS NOT NULL) OVER w AS leads,
             coalesce(k.position > lag(k.position) OVER w, true) AS rises,
             (k.stream_id, k.revision, k.type, k.version, k.recorded_at, k.fingerprint, k.data, k.metadata)
               = (t.s, t.n, t.t, t.v, t.r, t.f, t.d, t.m) AS same
      FROM unnest(ids, revisions, versions, instants, prints, streams, types, data, metadata) WITH ORDINALITY AS t(i, n, v, r, f, s, t, d, m, o)
      LEFT JOIN LATERAL (SELECT e.* FROM log.events e WHERE e.event_id = t.i) k ON true
      WINDOW w AS (ORDER BY t.o)
    ) j;
    IF at IS NOT NULL THEN
      fault := 'differs';
      RETURN NEXT;
      RETURN;
    END IF;
  END IF;
  IF present = total THEN
    RETURN NEXT;
    RETURN;
  END IF;
  IF instants[present + 1] < instant THEN
    fault := 'recorded-earlier';
    at := present + 1;
    RETURN NEXT;
    RETURN;
  END IF;

  -- Revisions rise by one within a stream of the batch (the caller sees to it), so each stream's first one tells whether it fits.
  SELECT min(f.o) INTO at FROM (
    SELECT t.s, min(t.n) AS first, min(t.o) AS o FROM unnest(streams, revisions) WITH ORDINALITY AS t(s, n, o)
    WHERE t.o > present GROUP BY t.s HAVING min(t.n) > 0
  ) f
  WHERE f.first <> coalesce((SELECT c.revision FROM log.streams c WHERE c.stream_id = f.s), -1) + 1;
  IF at IS NOT NULL THEN
    fault := 'stream-moved';
    RETURN NEXT;
    RETURN;
  END IF;
  -- Nearly every stream is new: of those, and of ids, the unique keys are check enough, and the first clash undoes it all.
  BEGIN
    INSERT INTO log.streams (stream_id, revision)
    SELECT t.s, max(t.n) FROM unnest(streams, revisions) WITH ORDINALITY AS t(s, n, o)
    WHERE t.o > present GROUP BY t.s HAVING min(t.n) = 0;
    INSERT INTO log.streams AS w (stream_id, revision)
    SELECT f.s, f.last FROM (
      SELECT t.s, min(t.n) AS first, max(t.n) AS last FROM unnest(streams, revisions) WITH ORDINALITY AS t(s, n, o)
      WHERE t.o > present GROUP BY t.s HAVING min(t.n) > 0
    ) f
    ON CONFLICT (stream_id) DO UPDATE SET revision = excluded.revision;
    INSERT INTO log.events (position, event_id, stream_id, revision, type, version, recorded_at, fingerprint, data, metadata)
    SELECT head + t.o - present, t.i, t.s, t.n, t.t, t.v, t.r, t.f, t.d, t.m
    FROM unnest(ids, revisions, versions, instants, prints, streams, types, data, metadata) WITH ORDINALITY AS t(i, n, v, r, f, s, t, d, m, o)
    WHERE t.o > present;
    RETURN NEXT;
    RETURN;
  EXCEPTION WHEN unique_violation THEN
    NULL;
  END;
  SELECT min(t.o) INTO at FROM unnest(ids) WITH ORDINALITY AS t(i, o)
  WHERE t.o > present AND EXISTS (SELECT FROM log.events e WHERE e.event_id = t.i);
  fault := CASE WHEN at IS NULL THEN 'stream-moved' ELSE 'differs' END;
  IF at IS NULL THEN
    SELECT min(t.o) INTO at FROM unnest(streams, revisions) WITH ORDINALITY AS t(s, n, o)
    WHERE t.o > present AND t.n = 0 AND EXISTS (SELECT FROM log.streams c WHERE c.stream_id = t.s);
  END IF;
  RETURN NEXT;
END $$;
`,
  },
] as const;
