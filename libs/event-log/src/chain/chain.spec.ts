import { createPrivateKey, generateKeyPairSync, hash, sign } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fingerprint } from '@vigil/vocabulary';
import fc from 'fast-check';
import { position, START, type EventLog, type RecordedEvent } from '../event-log';
import { newEvent, request } from '../event-log.contract';
import { createMemoryLog } from '../memory/memory-log';
import { chained, encodeEvent, eventDigest, NO_EVENTS } from './digest';
import { HEAD_EVENTS, headsFile } from './heads';
import { readPublicKey } from './keys';
import { readPages } from './pages';
import { createSealer, type SealProblem, type Sealer } from './sealer';
import { verifyLog, type VerifyOptions } from './verify';

jest.setTimeout(60_000);

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const folders: string[] = [];
const folder = (): string => {
  const made = mkdtempSync(join(tmpdir(), 'vigil-chain-'));
  folders.push(made);
  return made;
};
afterAll(() => folders.forEach((each) => rmSync(each, { recursive: true, force: true })));

/** A log over an array: whoever holds the array is who edits databases. */
const logOf = (events: readonly RecordedEvent[]): Pick<EventLog, 'readAll' | 'head'> => ({
  head: async () => events.at(-1)?.position ?? START,
  readAll: async ({ after, limit }) => events.filter((event) => event.position > after).slice(0, limit),
});

/** Events at these positions. */
const eventsAt = (positions: readonly number[]): RecordedEvent[] =>
  positions.map((at, n) => ({
    id: fingerprint(`id ${at}`),
    stream: `伤害-${at % 5}`,
    revision: Math.trunc(n / 5),
    type: 'Tested',
    version: 1,
    recordedAt: `2026-03-01T10:00:00.${String(100 + n)}Z`,
    fingerprint: fingerprint(`print ${at}`),
    data: `{"n":${at}}`,
    metadata: '{"actor":"spec"}',
    position: position(at),
  }));

const open = (dir: string, log: Pick<EventLog, 'readAll' | 'head'>, problems: SealProblem[] = []): Sealer =>
  createSealer({
    log,
    folder: join(dir, 'heads'),
    keyFile: join(dir, 'keys/log-signing.pem'),
    onProblem: (problem) => problems.push(problem),
  });

/** Seals what stands at each of these lengths: one head or more for each step. */
const sealed = async (events: readonly RecordedEvent[], lengths: readonly number[] = [events.length]): Promise<string> => {
  const dir = folder();
  const growing: RecordedEvent[] = [];
  const sealer = open(dir, logOf(growing));
  for (const length of lengths) {
    growing.push(...events.slice(growing.length, length));
    expect((await sealer.sealAll()).problem).toBeUndefined();
  }
  return dir;
};

const verified = (dir: string, events: readonly RecordedEvent[], options: Partial<VerifyOptions> = {}) =>
  verifyLog({ pages: readPages(logOf(events), { pageSize: 7 }), heads: join(dir, 'heads'), ...options });

const lines = (dir: string): string[] =>
  readFileSync(headsFile(join(dir, 'heads')), 'utf8')
    .split('\n')
    .slice(0, -1);
const rewrite = (dir: string, change: (all: string[]) => string[]): void =>
  writeFileSync(
    headsFile(join(dir, 'heads')),
    change(lines(dir))
      .map((line) => `${line}\n`)
      .join(''),
  );

describe('the digest of an event', () => {
  // docs/reference/log-chain.md shows this one; whoever changes it breaks every head that was ever written.
  const example: RecordedEvent = {
    id: '6f1c9a52-0b7e-8d3a-8c41-2e5f90a7b1d4',
    stream: 'injury-7',
    revision: 0,
    type: 'InjuryReported',
    version: 1,
    recordedAt: '2026-03-02T01:10:00.250000Z',
    fingerprint: '0a1b2c3d-4e5f-8071-8293-a4b5c6d7e8f9',
    data: '{"地点":"home"}',
    metadata: '{}',
    position: position(1),
  };

  it('is over bytes that anybody can write down', () => {
    expect(encodeEvent(example).toString('hex')).toBe(
      [
        ['0000000d', 'vigil.event.1'],
        ['00000024', '6f1c9a52-0b7e-8d3a-8c41-2e5f90a7b1d4'],
        ['00000008', 'injury-7'],
        ['00000001', '0'],
        ['0000000e', 'InjuryReported'],
        ['00000001', '1'],
        ['00000017', '2026-03-02T01:10:00.25Z'],
        ['00000024', '0a1b2c3d-4e5f-8071-8293-a4b5c6d7e8f9'],
        ['00000011', '{"地点":"home"}'],
        ['00000002', '{}'],
      ]
        .map(([length, text]) => `${length}${Buffer.from(text!, 'utf8').toString('hex')}`)
        .join(''),
    );
  });

  it('and the chain over it are what the documentation says', () => {
    const page = readFileSync(join(__dirname, '../../../../docs/reference/log-chain.md'), 'utf8');
    const digest = eventDigest(example);
    expect(digest).toEqual(hash('sha256', encodeEvent(example), 'buffer'));
    expect(page).toContain(digest.toString('hex'));
    const first = chained(NO_EVENTS, digest);
    expect(page).toContain(first.toString('hex'));
    const second = {
      ...example,
      id: '11111111-2222-8333-8444-555555555555',
      revision: 1,
      data: '{"outcome":"recovered"}',
      position: position(2),
    };
    expect(page).toContain(chained(first, eventDigest(second)).toString('hex'));
  });

  it('is another one for any other text in any field, and the same whatever the position and the zeros of a fraction', () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1 });
    const field = fc.constantFrom('stream', 'type', 'data', 'metadata');
    fc.assert(
      fc.property(text, text, text, text, field, field, (stream, type, data, metadata, one, other) => {
        const event = { ...example, stream, type, data, metadata };
        const swapped = { ...event, [one]: event[other as 'data'], [other]: event[one as 'data'] };
        expect(eventDigest(swapped).equals(eventDigest(event))).toBe(event[one as 'data'] === event[other as 'data']);
        const elsewhere: RecordedEvent = { ...event, position: position(9), recordedAt: '2026-03-02T01:10:00.25Z' };
        expect(eventDigest(elsewhere)).toEqual(eventDigest(event));
      }),
    );
  });
});

/** A log with holes, sealed in steps, and one thing done to it. */
const story = fc
  .record({
    gaps: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 2, maxLength: 40 }),
    cuts: fc.array(fc.nat(40), { maxLength: 5 }),
    at: fc.nat(1_000),
    other: fc.nat(1_000),
    way: fc.constantFrom('edit', 'delete', 'swap', 'cut', 'insert', 'renumber', 'close-up' as const),
    field: fc.constantFrom('id', 'stream', 'revision', 'type', 'version', 'recordedAt', 'fingerprint', 'data', 'metadata'),
  })
  .map(({ gaps, cuts, ...rest }) => {
    let at = 0;
    const events = eventsAt(gaps.map((gap) => (at += gap)));
    const lengths = [...new Set([...cuts.map((cut) => (cut % events.length) + 1), events.length])].sort((a, b) => a - b);
    return { events, lengths, ...rest };
  });

it('finds any one change at exactly its position, and none where there is none', async () => {
  await fc.assert(
    fc.asyncProperty(story, async ({ events, lengths, at, other, way, field }) => {
      const dir = await sealed(events, lengths);
      expect(await verified(dir, events)).toMatchObject({ verified: events.length, unsealed: 0, heads: lengths.length });
      const [i, k] = [at % events.length, other % events.length].sort((a, b) => a - b) as [number, number];
      const event = events[i]!;
      const changes: Record<string, () => [RecordedEvent[], string, bigint] | undefined> = {
        edit: () => {
          const value = event[field as 'data'];
          const changed =
            typeof value === 'number'
              ? value + 1
              : field === 'recordedAt'
                ? '2026-03-01T10:00:01Z'
                : `${value.slice(0, -1)}${value.endsWith('0') ? '1' : '0'}`;
          return [events.with(i, { ...event, [field]: changed }), 'edited', event.position];
        },
        delete: () => [events.toSpliced(i, 1), i === events.length - 1 ? 'tail-cut' : 'missing', event.position],
        swap: () => {
          if (i === k) return undefined;
          const [a, b] = [
            { ...event, position: events[k]!.position },
            { ...events[k]!, position: event.position },
          ];
          return [events.with(i, b).with(k, a), 'reordered', event.position];
        },
        cut: () => [events.slice(0, i), 'tail-cut', event.position],
        insert: () => {
          const free = range(Number(events.at(-1)!.position)).find(
            (n) => n > 0 && !events.some(({ position: p }) => p === BigInt(n)),
          );
          if (free === undefined) return undefined;
          const [extra] = eventsAt([free]);
          const changed = [...events, { ...extra!, id: fingerprint('new') }].sort((a, b) => (a.position < b.position ? -1 : 1));
          return [changed, 'inserted', BigInt(free)];
        },
        renumber: () => {
          const next = position(event.position + 1n);
          if (events[i + 1]?.position === next) return undefined;
          return [events.with(i, { ...event, position: next }), 'renumbered', event.position];
        },
        // Deleted, and those behind moved up, so that no position is missing.
        'close-up': () => {
          if (i === events.length - 1) return undefined;
          const changed = events.toSpliced(i, 1).map((each, n) => ({ ...each, position: events[n]!.position }));
          return [changed, 'missing', event.position];
        },
      };
      const change = changes[way]!();
      if (!change) return;
      const [changed, kind, where] = change;
      expect(await verified(dir, changed)).toMatchObject({
        verified: events.filter((each) => each.position < where).length,
        unsealed: null,
        digest: null,
        breach: { kind, position: where.toString() },
      });
    }),
    { numRuns: 250 },
  );
});

describe('a log rewritten as a whole', () => {
  it('is found at the first event that is another, whatever was done behind it', async () => {
    const events = eventsAt(range(60).map((n) => n + 1));
    const dir = await sealed(events, [25, 60]);
    const forged = events.map((event, n) => (n < 30 ? event : { ...event, data: '{"n":"forged"}' }));
    expect((await verified(dir, forged)).breach).toMatchObject({ kind: 'edited', position: '31', event: 31, line: 2 });
    const swappedFar = events
      .with(2, { ...events[55]!, position: position(3) })
      .with(55, { ...events[2]!, position: position(56) });
    expect((await verified(dir, swappedFar)).breach).toMatchObject({ kind: 'reordered', position: '3' });
  });

  it('with heads to match it, is found by their signatures', async () => {
    const events = eventsAt(range(60).map((n) => n + 1));
    const [dir, forger] = [await sealed(events, [25, 60]), folder()];
    const forged = events.map((event, n) => (n < 30 ? event : { ...event, data: '{"n":"forged"}' }));
    const growing = forged.slice(0, 25);
    const sealer = open(forger, logOf(growing));
    await sealer.sealAll();
    growing.push(...forged.slice(25));
    await sealer.sealAll();
    const [first] = lines(dir);
    rewrite(dir, () => [first!, lines(forger)[1]!]);
    expect((await verified(dir, forged)).breach).toMatchObject({ kind: 'head-unknown-key', position: '26', line: 2 });
    // With the right key's name on it, and the old signature.
    const body = lines(forger)[1]!.replace(/"key":"[^"]*"/, /"key":"[^"]*"/.exec(first!)![0]);
    rewrite(dir, () => [first!, body]);
    expect((await verified(dir, forged)).breach).toMatchObject({ kind: 'head-signature', position: '26', line: 2 });
    // With all of the forger's heads and his key beside them, only a key kept elsewhere tells.
    const [id, key] = readPublicKey(
      readFileSync(join(dir, 'heads', readdirSync(join(dir, 'heads')).find((name) => name.endsWith('.pem'))!), 'utf8'),
    );
    expect((await verified(forger, forged)).breach).toBeUndefined();
    expect((await verified(forger, forged, { keys: new Map([[id, key]]) })).breach).toMatchObject({
      kind: 'head-unknown-key',
      position: '1',
      line: 1,
    });
    expect((await verified(dir, events, { keys: new Map([[id, key]]) })).breach).toMatchObject({ kind: 'head-signature' });
  });
});

describe('the heads', () => {
  const events = eventsAt(range(30).map((n) => n + 1));

  it.each<[string, (all: string[]) => string[], string, string]>([
    ['a line taken out', (all) => all.toSpliced(1, 1), 'head-out-of-line', '11'],
    ['the first line taken out', (all) => all.slice(1), 'head-out-of-line', '1'],
    ['two lines swapped', (all) => [all[0]!, all[2]!, all[1]!], 'head-out-of-line', '11'],
    ['a line doubled', (all) => [all[0]!, all[0]!, all[1]!, all[2]!], 'head-out-of-line', '11'],
    ['a count changed', (all) => all.with(1, all[1]!.replace('"events":20', '"events":21')), 'head-signature', '11'],
    ['a hash changed', (all) => all.with(2, all[2]!.replace(/"head":"..../, '"head":"0000')), 'head-signature', '21'],
    ['an instant changed', (all) => all.with(0, all[0]!.replace(/"at":"20/, '"at":"19')), 'head-signature', '1'],
    ['blanks between', (all) => all.with(1, all[1]!.replace('{', '{ ')), 'head-signature', '11'],
    ['no JSON', (all) => all.with(1, 'x'), 'head-unreadable', '11'],
    ['an empty line', (all) => all.toSpliced(1, 0, ''), 'head-unreadable', '11'],
    ['two million digits', (all) => all.with(1, '1'.repeat(2_000_000)), 'head-unreadable', '11'],
    ['half a line', (all) => all.with(1, all[1]!.slice(0, 100)), 'head-unreadable', '11'],
  ])('with %s prove nothing from there on', async (_, change, kind, at) => {
    const dir = await sealed(events, [10, 20, 30]);
    rewrite(dir, change);
    const found = await verified(dir, events);
    expect(found).toMatchObject({ breach: { kind, position: at }, verified: Number(at) - 1 });
    expect(found.breach!.detail.zh).toMatch(/\p{Script=Han}/u);
  });

  it('cut off at the end prove as far as they go', async () => {
    const dir = await sealed(events, [10, 20, 30]);
    rewrite(dir, (all) => all.slice(0, 2));
    expect(await verified(dir, events)).toMatchObject({ verified: 20, unsealed: 10, heads: 2, position: '20' });
    rmSync(join(dir, 'heads'), { recursive: true });
    expect(await verified(dir, events)).toMatchObject({ verified: 0, unsealed: 30, heads: 0, position: null });
  });

  it('go with a log to another store, where positions are others', async () => {
    const dir = await sealed(events, [10, 30]);
    const moved = events.map((event) => ({ ...event, position: position(event.position * 700n) }));
    expect((await verified(dir, moved)).breach).toMatchObject({ kind: 'renumbered', position: '1' });
    expect(await verified(dir, moved, { moved: true })).toMatchObject({ verified: 30, unsealed: 0 });
    expect((await verified(dir, moved.toSpliced(12, 1), { moved: true })).breach).toMatchObject({ kind: 'missing', event: 13 });
    expect((await verified(dir, moved.with(12, { ...moved[12]!, data: '1' }), { moved: true })).breach).toMatchObject({
      kind: 'edited',
      position: '9100',
    });
  });
});

describe('the sealer', () => {
  const events = eventsAt(range(30).map((n) => n + 1));

  it('seals a thousand events to a head, and goes on after a restart where it stood', async () => {
    const log = createMemoryLog();
    const dir = folder();
    expect(await open(dir, log).sealAll()).toEqual({ position: START, events: 0, heads: 0 });
    await log.appendMany(range(HEAD_EVENTS * 2 + 5).map((n) => request(`s${n}`)));
    const sealer = open(dir, log);
    expect(await sealer.sealAll()).toEqual({ position: position(2005), events: 2005, heads: 3 });
    expect(await sealer.sealAll()).toEqual({ position: position(2005), events: 2005, heads: 3 });
    for (let n = 0; n < 3; n++) {
      await log.append(request('one'));
      expect(await open(dir, log).sealAll()).toEqual({ position: position(2006 + n), events: 2006 + n, heads: 4 + n });
    }
    expect(lines(dir).map((line) => (JSON.parse(line) as { events: number }).events)).toEqual([
      1000, 2000, 2005, 2006, 2007, 2008,
    ]);
    expect(await verifyLog({ pages: readPages(log), heads: join(dir, 'heads') })).toMatchObject({
      verified: 2008,
      unsealed: 0,
      heads: 6,
    });
  });

  it('keeps its key to its owner and the public half beside the heads', async () => {
    const dir = await sealed(events);
    const keyFile = join(dir, 'keys/log-signing.pem');
    expect([statSync(keyFile).mode & 0o777, statSync(join(dir, 'heads')).mode & 0o777]).toEqual([0o600, 0o700]);
    expect(readdirSync(join(dir, 'heads')).sort()).toEqual([expect.stringMatching(/^[0-9a-f]{32}\.pem$/), 'heads.ndjson']);
    expect(lines(dir)[0]).not.toContain(readFileSync(keyFile, 'utf8').split('\n')[1]);
  });

  it('takes a new key when the old one is put away; heads of both verify', async () => {
    const dir = await sealed(events.slice(0, 10));
    rmSync(join(dir, 'keys'), { recursive: true });
    expect(await open(dir, logOf(events)).sealAll()).toMatchObject({ events: 30 });
    const found = await verified(dir, events);
    expect(found).toMatchObject({ verified: 30, heads: 2 });
    expect(found.keys).toHaveLength(2);
  });

  it('cuts off the line that a crash has torn, wherever it tore it', async () => {
    const dir = await sealed(events.slice(0, 20), [10, 20]);
    const file = headsFile(join(dir, 'heads'));
    const whole = readFileSync(file);
    const [first] = lines(dir);
    for (const size of [first!.length + 2, first!.length + 300, whole.length - 1]) {
      writeFileSync(file, whole);
      truncateSync(file, size);
      expect(await verified(dir, events)).toMatchObject({ verified: 10, unsealed: 20 });
      expect(await open(dir, logOf(events)).sealAll()).toEqual({ position: position(30), events: 30, heads: 2 });
      expect(await verified(dir, events)).toMatchObject({ verified: 30, unsealed: 0, heads: 2 });
    }
  });

  it.each<[string, (all: RecordedEvent[]) => RecordedEvent[], string]>([
    ['cut below what is sealed', (all) => all.slice(0, 15), '16'],
    ['cut and grown again', (all) => [...all.slice(0, 19), { ...all[19]!, id: fingerprint('other') }, ...all.slice(20)], '20'],
    ['edited in its last block', (all) => all.with(12, { ...all[12]!, metadata: '{}' }), '13'],
    ['emptied', () => [], '11'],
  ])('does not seal over a log that was %s, and says so once', async (_, change, at) => {
    const dir = await sealed(events.slice(0, 20), [10, 20]);
    const before = readFileSync(headsFile(join(dir, 'heads')));
    const problems: SealProblem[] = [];
    const sealer = open(dir, logOf(change(events)), problems);
    for (let n = 0; n < 3; n++) expect((await sealer.sealAll()).problem).toMatchObject({ kind: 'breach' });
    expect(problems).toHaveLength(1);
    expect(problems[0]!.detail.en).toContain(`position ${at} `);
    expect(problems[0]!.detail.zh).toContain('verify-log');
    expect(readFileSync(headsFile(join(dir, 'heads')))).toEqual(before);
  });

  it('notices in the middle of its work too', async () => {
    const dir = folder();
    const log: RecordedEvent[] = events.slice(0, 10);
    const sealer = open(dir, logOf(log));
    expect(await sealer.sealAll()).toMatchObject({ events: 10 });
    log.splice(9, 1, { ...events[9]!, data: '{}' }, events[10]!);
    expect((await sealer.sealAll()).problem).toMatchObject({
      kind: 'breach',
      detail: { en: expect.stringContaining('position 10 ') },
    });
  });

  it.each<[string, (dir: string) => void]>([
    ['were edited', (dir) => rewrite(dir, (all) => all.with(-1, all.at(-1)!.replace('"events":20', '"events":21')))],
    ['have a foreign line at the end', (dir) => appendFileSync(headsFile(join(dir, 'heads')), '{}\n')],
    ['were removed', (dir) => rmSync(headsFile(join(dir, 'heads')))],
    ['lost the last but one', (dir) => rewrite(dir, (all) => all.slice(1))],
  ])('does not go on from heads that %s', async (_, change) => {
    const dir = await sealed(events.slice(0, 20), [10, 20]);
    change(dir);
    const before = existsSync(headsFile(join(dir, 'heads'))) ? lines(dir) : [];
    expect((await open(dir, logOf(events)).sealAll()).problem).toMatchObject({ kind: 'breach' });
    expect(existsSync(headsFile(join(dir, 'heads'))) ? lines(dir) : []).toEqual(before);
  });

  it('notices another writer of its file', async () => {
    const dir = folder();
    const log: RecordedEvent[] = events.slice(0, 10);
    const [one, two] = [open(dir, logOf(log)), open(dir, logOf(log))];
    await one.sealAll();
    await two.sealAll();
    log.push(events[10]!);
    await one.sealAll();
    log.push(events[11]!);
    expect((await two.sealAll()).problem).toMatchObject({
      kind: 'breach',
      detail: { en: expect.stringContaining('VIGIL_HEADS_DIR') },
    });
    expect(await verified(dir, log)).toMatchObject({ verified: 11, unsealed: 1 });
  });

  it('waits for a folder or key that cannot be used, and goes on when it can', async () => {
    const dir = folder();
    writeFileSync(join(dir, 'heads'), 'in the way');
    const problems: SealProblem[] = [];
    const sealer = open(dir, logOf(events), problems);
    for (let n = 0; n < 2; n++) expect((await sealer.sealAll()).problem).toMatchObject({ kind: 'unusable' });
    expect(problems).toHaveLength(1);
    rmSync(join(dir, 'heads'));
    expect(await sealer.sealAll()).toEqual({ position: position(30), events: 30, heads: 1 });
    const other = folder();
    writeFileSync(
      join(other, 'key'),
      generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }),
    );
    const state = await createSealer({ log: logOf(events), folder: other, keyFile: join(other, 'key') }).sealAll();
    expect(state.problem).toMatchObject({ kind: 'unusable' });
  });

  it('follows on schedule, and seals the rest when it closes', async () => {
    const dir = folder();
    const log = createMemoryLog();
    const sealer = createSealer({ log, folder: join(dir, 'heads'), keyFile: join(dir, 'key'), everyMs: 20 });
    sealer.start();
    await log.appendMany(range(3000).map((n) => request(`s${n}`)));
    for (const until = Date.now() + 5_000; sealer.state.events < 3000 && Date.now() < until; )
      await new Promise((resolve) => setTimeout(resolve, 10));
    expect(sealer.state).toMatchObject({ events: 3000, heads: 3 });
    await log.append(request('last', 'any', [newEvent()]));
    await sealer.close();
    expect(sealer.state).toMatchObject({ events: 3001, heads: 4 });
  });
});

it('a head is signed as the documentation says', async () => {
  const dir = await sealed(eventsAt([1, 2, 5]));
  const [line] = lines(dir);
  const { signature, ...body } = JSON.parse(line!) as Record<string, unknown>;
  const key = createPrivateKey(readFileSync(join(dir, 'keys/log-signing.pem'), 'utf8'));
  expect(sign(null, Buffer.from(`vigil.head.1\n${JSON.stringify(body)}`), key).toString('base64')).toBe(signature);
  expect(body).toMatchObject({
    vigil: 'log-head',
    format: 1,
    sequence: 0,
    events: 3,
    from: '1',
    to: '5',
    steps: [1, 3],
    previous: '0'.repeat(64),
  });
});
