import { hazard, incident, injury, injuryId, injuryStream, type CaseFile, type FileState, type InjuryEvent } from '@vigil/domain';
import { createMemoryLog, START, type EventLog } from '@vigil/event-log';
import { deterministicId } from '@vigil/vocabulary';
import fc from 'fast-check';
import { z } from 'zod';
import { feedSchemas } from './cloud-event';
import { pushEvents, type PushAnswer, type PushRequest } from './push';

const code = (value: string) => ({ system: 'niss-card', version: '14', code: value });
const data = (recordId: string, more: object = {}) => ({
  recordId,
  occurredAt: '2026-03-02',
  knownAt: '2026-03-02T09:10:00+08:00',
  visit: 'first',
  community: 'C-001',
  residence: 'C-002',
  age: { value: 71, unit: 'year' },
  sex: 'F',
  mechanism: code('3'),
  intent: code('1'),
  place: code('1'),
  disposition: code('4'),
  ...more,
});
const event = (type: string, id: string, payload: object, more: object = {}) => ({
  specversion: '1.0',
  type: `org.vigil.injury.${type}.v1`,
  source: '/feeds/clinic-03',
  id,
  time: '2026-03-02T01:10:00Z',
  datacontenttype: 'application/json',
  data: payload,
  ...more,
});
const reported = (recordId: string, more: object = {}) =>
  event('reported', `${recordId}-1`, data(recordId, more), { subject: recordId });
const corrected = (recordId: string, replaces: object = { sex: 'M' }, id = `${recordId}-2`) =>
  event('corrected', id, { recordId, replaces, reason: 'typing error' });
const retracted = (recordId: string, id = `${recordId}-3`) => event('retracted', id, { recordId, reason: 'entered twice' });

const BATCH = 'application/cloudevents-batch+json';
const NDJSON = 'application/x-ndjson';
const send = async (
  log: EventLog,
  body: PushRequest['body'] | string,
  contentType: string,
  more: Partial<PushRequest> = {},
): Promise<PushAnswer> => {
  const answer = await pushEvents(
    { log },
    { feed: 'clinic-03', body: typeof body === 'string' ? Buffer.from(body) : body, contentType, ...more },
  );
  if (!answer.ok) throw new Error(answer.problem.code);
  const { accepted, duplicates, rejected } = answer.value;
  if (answer.value.results.length === accepted + duplicates + rejected) return answer.value;
  expect(answer.value.results.every(({ status }) => status === 'rejected')).toBe(true);
  return answer.value;
};
const batch = (log: EventLog, events: unknown[], more: Partial<PushRequest> = {}) =>
  send(log, JSON.stringify(events), BATCH, more);
const one = async (value: unknown, log = createMemoryLog()) => (await batch(log, [value])).results[0]!;
const statuses = ({ results }: PushAnswer) => results.map(({ status, problem }) => problem?.code ?? status);
const everything = (log: EventLog) => log.readAll({ after: START, limit: 1e6 });
const stateOf = async (log: EventLog, recordId: string) =>
  (await log.readStream(injuryStream(injuryId('clinic-03', recordId)))).reduce(
    (state, { type, data }) => injury.evolve(state, { type, data: JSON.parse(data) } as InjuryEvent),
    injury.initialState,
  );
async function* pieces(text: string | Buffer, size: number): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

describe('one CloudEvent', () => {
  it('becomes one event of the record its feed and number name', async () => {
    const log = createMemoryLog();
    const answer = await send(log, JSON.stringify(reported('000123')), 'application/cloudevents+json; charset=utf-8');
    const [recorded, ...none] = await everything(log);
    expect(none).toEqual([]);
    expect(answer).toEqual({
      accepted: 1,
      duplicates: 0,
      rejected: 0,
      position: recorded!.position,
      results: [{ id: '000123-1', status: 'accepted', position: recorded!.position }],
    });
    expect(recorded).toMatchObject({
      id: deterministicId('event', '/feeds/clinic-03', '000123-1'),
      stream: injuryStream(injuryId('clinic-03', '000123')),
      type: 'InjuryReported',
      version: 1,
    });
    expect(JSON.parse(recorded!.data)).toEqual({ ...data('000123'), feed: 'clinic-03' });
    expect(JSON.parse(recorded!.metadata)).toEqual({
      source: '/feeds/clinic-03',
      id: '000123-1',
      feed: 'clinic-03',
      time: '2026-03-02T01:10:00Z',
    });
  });

  it('again is a duplicate; with another content a conflict; of the same record under another id refused', async () => {
    const log = createMemoryLog();
    const first = await one(reported('1'), log);
    expect(await one(reported('1'), log)).toEqual({ ...first, status: 'duplicate' });
    expect((await one(reported('1', { sex: 'M' }), log)).problem).toMatchObject({ code: 'event-id-conflict', pointer: '/id' });
    expect((await one({ ...reported('1'), id: 'other' }, log)).problem?.code).toBe('injury-exists');
    expect(await everything(log)).toHaveLength(1);
  });

  it('of a community that nobody registered is not lost', async () =>
    expect((await one(reported('1', { community: 'NOWHERE' }))).status).toBe('accepted'));
});

describe('a later event', () => {
  it('in the same batch finds its report; the same again changes nothing', async () => {
    const log = createMemoryLog();
    const events = [
      reported('1'),
      corrected('1'),
      event('outcome-updated', '1-o', { recordId: '1', disposition: 'died', daysToDeath: 2, asOf: '2026-03-04' }),
      reported('2'),
      retracted('2'),
    ];
    expect(statuses(await batch(log, events))).toEqual(Array(5).fill('accepted'));
    expect(statuses(await batch(log, events))).toEqual(Array(5).fill('duplicate'));
    expect(await stateOf(log, '1')).toMatchObject({
      status: 'reported',
      record: { sex: 'M', disposition: 'died', daysToDeath: 2 },
    });
    expect(await stateOf(log, '2')).toMatchObject({ status: 'retracted' });
    expect((await everything(log)).map(({ revision }) => revision).sort()).toEqual([0, 0, 1, 1, 2]);
  });

  it('keeps the order of its record', async () => {
    const log = createMemoryLog();
    const order = [
      reported('1'),
      corrected('1', { sex: 'M' }, 'a'),
      corrected('1', { sex: 'X' }, 'b'),
      corrected('1', { sex: 'F' }, 'c'),
    ];
    await batch(log, order);
    expect(await stateOf(log, '1')).toMatchObject({ record: { sex: 'F' } });
    expect(
      statuses(
        await batch(log, [
          corrected('1', { sex: 'M' }, 'c'),
          retracted('1'),
          corrected('1', {}, 'd'),
          corrected('1', { sex: 'M' }, 'e'),
          corrected('9'),
        ]),
      ),
    ).toEqual(['event-id-conflict', 'accepted', 'nothing-to-replace', 'injury-retracted', 'injury-not-found']);
  });

  it('is decided anew when another writer comes between', async () => {
    const memory = createMemoryLog();
    await batch(memory, [reported('1')]);
    let reads = 0;
    const log: EventLog = {
      ...memory,
      readStream: async (...args) => {
        const events = await memory.readStream(...args);
        if (++reads === 1) await batch(memory, [corrected('1', { sex: 'X' }, 'other')]);
        return events;
      },
    };
    expect(statuses(await batch(log, [corrected('1')]))).toEqual(['accepted']);
    expect(await stateOf(memory, '1')).toMatchObject({ record: { sex: 'M' } });
  });
});

describe('a bad event is a result, and its neighbours go on', () => {
  const nested = (depth: number): unknown => JSON.parse(`${'['.repeat(depth)}${']'.repeat(depth)}`) as unknown;
  it.each<[string, unknown, object]>([
    ['no object', 7, { code: 'wrong-type' }],
    ['null', null, { code: 'wrong-type' }],
    ['an empty object', {}, { code: 'missing-field', pointer: '/specversion' }],
    [
      'another version',
      { ...reported('1'), specversion: '0.3' },
      { code: 'unknown-code', pointer: '/specversion', allowed: ['1.0'] },
    ],
    [
      'an unknown type',
      { ...reported('1'), type: 'org.vigil.injury.reportd.v1' },
      { code: 'unknown-event-type', suggestion: 'org.vigil.injury.reported.v1' },
    ],
    [
      'version 99',
      { ...reported('1'), type: 'org.vigil.injury.reported.v99' },
      { code: 'unknown-event-type', allowed: Object.keys(feedSchemas()) },
    ],
    ['no id', { ...reported('1'), id: undefined }, { code: 'missing-field', pointer: '/id' }],
    ['an id with U+001F', { ...reported('1'), id: 'a\u001fb' }, { code: 'invalid-text', pointer: '/id' }],
    ['another subject', { ...reported('1'), subject: '2' }, { code: 'subject-mismatch', pointer: '/subject', value: '2' }],
    ['a bad time', { ...reported('1'), time: '2026-02-30T00:00:00Z' }, { code: 'invalid-date', pointer: '/time' }],
    ['other data', { ...reported('1'), datacontenttype: 'text/xml' }, { code: 'unsupported-media-type' }],
    [
      '30 February',
      reported('1', { occurredAt: '2026-02-30' }),
      { code: 'invalid-date', pointer: '/data/occurredAt', value: '2026-02-30' },
    ],
    ['24:00', reported('1', { knownAt: '2026-03-02T24:00:00Z' }), { code: 'invalid-date', pointer: '/data/knownAt' }],
    ['no zone', reported('1', { knownAt: '2026-03-02T12:00:00' }), { code: 'invalid-date', pointer: '/data/knownAt' }],
    ['age 999', reported('1', { age: { value: 999, unit: 'year' } }), { code: 'invalid-age', pointer: '/data/age' }],
    [
      'a wrong code',
      reported('1', { mechanism: 'fal' }),
      { code: 'unknown-code', pointer: '/data/mechanism', value: 'fal', suggestion: 'fall' },
    ],
    [
      'half a code',
      reported('1', { mechanism: { system: 'a', version: '1' } }),
      { code: 'missing-field', pointer: '/data/mechanism/code' },
    ],
    ['a number for a code', reported('1', { mechanism: 3 }), { code: 'unknown-code', pointer: '/data/mechanism', value: 3 }],
    [
      'an unknown field',
      reported('1', { mecanism: 'fall' }),
      { code: 'unknown-field', pointer: '/data/mecanism', suggestion: 'mechanism' },
    ],
    [
      'an unknown inner field',
      reported('1', { transport: { mod: 'bus' } }),
      { code: 'unknown-field', pointer: '/data/transport/mod', suggestion: 'mode' },
    ],
    ['a name', reported('1', { name: 'x' }), { code: 'identity-not-accepted', pointer: '/data/name' }],
    [
      'a Chinese name, deep down',
      reported('1', { transport: { mode: 'bus', 姓名: 'x' } }),
      { code: 'identity-not-accepted', pointer: '/data/transport/姓名' },
    ],
    [
      'an id number beside the data',
      { ...reported('1'), idNumber: '1' },
      { code: 'identity-not-accepted', pointer: '/idNumber' },
    ],
    ['NUL', reported('1', { transport: { mode: 'b\0s' } }), { code: 'nul-character', pointer: '/data/transport/mode' }],
    [
      'half a character',
      reported('1', { mechanism: { system: 'a', version: '1', code: '\ud800' } }),
      { code: 'lone-surrogate', pointer: '/data/mechanism/code' },
    ],
    ['half a character for a key', reported('1', { '\ud800': 1 }), { code: 'lone-surrogate' }],
    ['100,000 nested arrays', reported('1', { products: nested(100_000) }), { code: 'too-deep' }],
    [
      'a prototype',
      JSON.parse(JSON.stringify(reported('1')).replace('"sex":"F"', '"__proto__":{"sex":"F"}')),
      { code: 'unknown-field' },
    ],
  ])('%s', async (_name, bad, problem) => {
    const log = createMemoryLog();
    // JSON.stringify can't write the nested arrays.
    const text = _name.startsWith('100,000')
      ? JSON.stringify(reported('1', { products: 0 })).replace(
          '"products":0',
          `"products":${'['.repeat(100_000)}${']'.repeat(100_000)}`,
        )
      : JSON.stringify(bad);
    const answer = await send(log, `[${JSON.stringify(reported('a'))},${text},${JSON.stringify(reported('b'))}]`, BATCH);
    expect(answer).toMatchObject({ accepted: 2, rejected: 1 });
    expect(answer.results[1]!.problem).toMatchObject(problem);
    expect(answer.results[1]!.problem!.detail.zh).toMatch(/\p{Script=Han}/u);
    expect(answer.results[1]!.problem!.detail.en).not.toBe('');
    expect(await everything(log)).toHaveLength(2);
  });

  it('a number that JSON would round', async () => {
    const text = JSON.stringify(reported('1', { sampling: { frame: 'F', weight: 7, stratum: '1', unit: '1' } }));
    for (const number of ['9007199254740993', '1e400'])
      expect(statuses(await send(createMemoryLog(), `[${text.replace('"weight":7', `"weight":${number}`)}]`, BATCH))).toEqual([
        'not-representable',
      ]);
  });
});

describe('a body that is no batch', () => {
  it.each<[string, string | Buffer, string, string]>([
    ['cut JSON', '[{"a":', BATCH, 'invalid-json'],
    ['nothing', '', 'application/cloudevents+json', 'invalid-json'],
    ['an object', '{}', BATCH, 'not-an-array'],
    ['bytes', Buffer.from([0x5b, 0xff, 0x5d]), BATCH, 'invalid-encoding'],
    ['XML', '<a/>', 'text/xml', 'unsupported-media-type'],
  ])('%s', async (_name, body, contentType, code) => {
    const answer = await pushEvents({ log: createMemoryLog() }, { feed: 'f', body: Buffer.from(body), contentType });
    expect(answer).toMatchObject({ ok: false, problem: { code } });
  });

  it('or goes to no feed', async () =>
    expect(
      await pushEvents({ log: createMemoryLog() }, { feed: 'a b', body: Buffer.from('[]'), contentType: BATCH }),
    ).toMatchObject({ ok: false, problem: { code: 'invalid-code' } }));

  it('of nothing but brackets', async () => {
    expect(statuses(await send(createMemoryLog(), '['.repeat(100_000) + ']'.repeat(100_000), BATCH))).toEqual(['too-deep']);
  });
});

describe('a stream of lines', () => {
  it('goes on after bad ones, in pieces of any size', async () => {
    const bad = Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xff]), Buffer.from('"}\n')]);
    const text = Buffer.concat([
      Buffer.from(`${JSON.stringify(reported('1'))}\n\r\n{not json\r\n`),
      bad,
      Buffer.from(
        `${JSON.stringify(reported('2', { products: [] }))}\r\n${'['.repeat(100_000)}\n${'x'.repeat((1 << 20) + 1)}\n${JSON.stringify(corrected('1'))}`,
      ),
    ]);
    for (const size of [7, 4096, 1 << 24]) {
      const answer = await send(createMemoryLog(), pieces(text, size), NDJSON);
      expect(answer.results.map(({ row, status, problem }) => [row, problem?.code ?? status])).toEqual([
        [1, 'accepted'],
        [2, 'invalid-json'],
        [3, 'invalid-encoding'],
        [4, 'accepted'],
        [5, 'invalid-json'],
        [6, 'line-too-long'],
        [7, 'accepted'],
      ]);
    }
  });

  it('over a thousand answers with the refused only', async () => {
    const lines = Array.from({ length: 2500 }, (_, i) =>
      JSON.stringify(reported(String(i), i % 1000 === 7 ? { sex: 'Q' } : {})),
    ).join('\n');
    const log = createMemoryLog();
    const answer = await send(log, pieces(lines, 65_536), NDJSON);
    expect(answer).toMatchObject({ accepted: 2497, duplicates: 0, rejected: 3, position: await log.head() });
    expect(answer.results.map(({ row, id }) => [row, id])).toEqual([
      [8, '7-1'],
      [1008, '1007-1'],
      [2008, '2007-1'],
    ]);
  });
});

describe('all or none', () => {
  it('all', async () => {
    const log = createMemoryLog();
    const events = [reported('1'), corrected('1'), reported('2'), reported('1')];
    expect(statuses(await batch(log, events, { atomic: true }))).toEqual(['accepted', 'accepted', 'accepted', 'duplicate']);
    expect(await stateOf(log, '1')).toMatchObject({ record: { sex: 'M' } });
    expect(statuses(await batch(log, events, { atomic: true }))).toEqual(Array(4).fill('duplicate'));
    expect(await everything(log)).toHaveLength(3);
  });

  it.each<[string, object, string]>([
    ['an invalid one', reported('3', { sex: 'Q' }), 'unknown-code'],
    ['a refused one', corrected('3'), 'injury-not-found'],
    ['one that exists', { ...reported('0'), id: 'x' }, 'injury-exists'],
    ['an id with another content', reported('0', { sex: 'M' }), 'event-id-conflict'],
    ['an id taken in another record', { ...reported('3'), id: '0-1' }, 'event-id-conflict'],
    ['an id used twice', { ...reported('3'), id: '1-1' }, 'event-id-conflict'],
  ])('none for %s', async (_name, bad, code) => {
    const log = createMemoryLog();
    await batch(log, [reported('0')]);
    const answer = await batch(log, [reported('1'), reported('0'), bad, corrected('1')], { atomic: true });
    expect(statuses(answer)).toEqual(['atomic-aborted', 'duplicate', code, 'atomic-aborted']);
    expect(answer).toMatchObject({ accepted: 0, duplicates: 1, rejected: 3 });
    expect(await everything(log)).toHaveLength(1);
  });

  it('is decided anew when another writer comes between', async () => {
    const memory = createMemoryLog();
    let reads = 0;
    const log: EventLog = {
      ...memory,
      readStream: async (...args) => {
        const events = await memory.readStream(...args);
        if (++reads === 1) await batch(memory, [reported('1')]);
        return events;
      },
    };
    expect(statuses(await batch(log, [reported('1'), reported('2')], { atomic: true }))).toEqual(['duplicate', 'accepted']);
  });

  it('of more than ten thousand is refused', async () => {
    const body = pieces('{}\n'.repeat(10_001), 1000);
    expect(await pushEvents({ log: createMemoryLog() }, { feed: 'f', body, contentType: NDJSON, atomic: true })).toMatchObject({
      ok: false,
      problem: { code: 'too-many-events' },
    });
  });
});

it('any order and repetition of reports ends in the same log', async () => {
  const events = Array.from({ length: 12 }, (_, i) => reported(String(i)));
  const contents = async (log: EventLog) =>
    (await everything(log))
      .map(({ id, stream, data, metadata, fingerprint }) => [id, stream, data, metadata, fingerprint].join())
      .sort();
  const plain = createMemoryLog();
  await batch(plain, events);
  const wanted = await contents(plain);
  const all = events.map((_, i) => i);
  const shuffled = fc.tuple(
    fc.shuffledSubarray(all, { minLength: 12 }),
    fc.array(fc.nat(11), { maxLength: 20 }),
    fc.integer({ min: 1, max: 9 }),
    fc.constantFrom(BATCH, NDJSON),
  );
  await fc.assert(
    fc.asyncProperty(shuffled, async ([order, again, size, contentType]) => {
      const log = createMemoryLog();
      const sent = [...again, ...order].map((i) => events[i]!);
      let counted = 0;
      for (let at = 0; at < sent.length; at += size) {
        const some = sent.slice(at, at + size);
        const answer = await send(
          log,
          contentType === BATCH ? JSON.stringify(some) : some.map((value) => JSON.stringify(value)).join('\n'),
          contentType,
        );
        expect(answer.rejected).toBe(0);
        counted += answer.accepted;
      }
      expect(counted).toBe(12);
      expect(await contents(log)).toEqual(wanted);
    }),
    { numRuns: 100 },
  );
});

it('its schemas can be published', () => {
  for (const schema of Object.values(feedSchemas())) {
    const made = z.toJSONSchema(schema, { io: 'input' });
    // An incident is one of its kinds.
    for (const each of made.oneOf ?? [made]) expect(each).toMatchObject({ type: 'object', additionalProperties: false });
  }
});

describe('events of incidents and hazards', () => {
  const of = (type: string, id: string, payload: object, more: object = {}) => ({
    specversion: '1.0',
    type: `org.vigil.${type}.v1`,
    source: '/feeds/clinic-03',
    id,
    data: payload,
    ...more,
  });
  const crash = (recordId: string, more: object = {}, id = `${recordId}-1`) =>
    of(
      'incident.reported',
      id,
      { recordId, kind: 'crash', community: 'C-001', knownAt: '2026-03-02', ...more },
      { subject: recordId },
    );
  const incidentCorrected = (recordId: string, replaces: object, id = `${recordId}-2`) =>
    of('incident.corrected', id, { recordId, replaces, reason: 'typing error' });
  const incidentRetracted = (recordId: string) =>
    of('incident.retracted', `${recordId}-3`, { recordId, reason: 'entered twice' });
  const found = (recordId: string, more: object = {}, id = `${recordId}-h`) =>
    of(
      'hazard.identified',
      id,
      { recordId, community: 'C-001', domain: 'fire', description: '灭火器过期', identifiedAt: '2026-03-02', ...more },
      { subject: recordId },
    );
  const incidentId = (recordId: string) => incident.idOf!({ feed: 'clinic-03', recordId } as never)!;
  const stateIn = async <S extends FileState>(log: EventLog, file: CaseFile<S>, id: string): Promise<S> =>
    (await log.readStream(file.streamOf(id))).reduce(
      (state, event) => file.decider.evolve(state, file.read(event)),
      file.initialState,
    );

  it('an incident reported by its feed and number is the one that the API knows by them', async () => {
    const log = createMemoryLog();
    const casualties = [{ id: '1', role: 'driver', age: { value: 30, unit: 'year' } }];
    expect(statuses(await batch(log, [crash('A-17', { casualties, vehicles: [{ id: 'v', type: 'car' }] })]))).toEqual([
      'accepted',
    ]);
    const [recorded] = await everything(log);
    expect(recorded).toMatchObject({
      id: deterministicId('event', '/feeds/clinic-03', 'A-17-1'),
      stream: incident.streamOf(incidentId('A-17')),
      type: 'IncidentReported',
      version: 1,
    });
    expect(JSON.parse(recorded!.data)).toMatchObject({ recordId: 'A-17', feed: 'clinic-03', kind: 'crash', casualties });
  });

  it('is corrected and retracted in the same batch; all again are duplicates', async () => {
    const log = createMemoryLog();
    const events = [
      crash('1'),
      incidentCorrected('1', { community: 'C-002' }),
      crash('2', { kind: 'fire' }),
      incidentRetracted('2'),
      found('1'),
      reported('7'),
    ];
    expect(statuses(await batch(log, events))).toEqual(Array(6).fill('accepted'));
    expect(statuses(await batch(log, events))).toEqual(Array(6).fill('duplicate'));
    expect(await stateIn(log, incident, incidentId('1'))).toMatchObject({ state: 'reported', report: { community: 'C-002' } });
    expect(await stateIn(log, incident, incidentId('2'))).toMatchObject({ state: 'retracted' });
    expect((await everything(log)).length).toBe(6);
  });

  it('a hazard keeps the sender’s number beside its event, and is the same for ever', async () => {
    const log = createMemoryLog();
    expect(statuses(await batch(log, [found('h-1'), found('h-1', {}, 'again')]))).toEqual(['accepted', 'hazard-exists']);
    const [recorded] = await everything(log);
    const id = deterministicId('hazard', 'clinic-03', 'h-1');
    expect(recorded).toMatchObject({ stream: hazard.streamOf(id), type: 'HazardIdentified' });
    expect(JSON.parse(recorded!.metadata)).toMatchObject({ feed: 'clinic-03', recordId: 'h-1' });
    expect(JSON.parse(recorded!.data)).not.toHaveProperty('recordId');
    expect(await stateIn(log, hazard, id)).toMatchObject({ state: 'identified', identification: { description: '灭火器过期' } });
  });

  it('an id means one content, whichever kind of record carries it', async () => {
    const log = createMemoryLog();
    await batch(log, [crash('1', {}, 'x')]);
    expect(
      statuses(
        await batch(log, [
          crash('1', { community: 'C-9' }, 'x'),
          found('1', {}, 'x'),
          { ...reported('7'), id: 'x' },
          crash('1', {}, 'y'),
        ]),
      ),
    ).toEqual(['event-id-conflict', 'event-id-conflict', 'event-id-conflict', 'incident-exists']);
    expect((await everything(log)).length).toBe(1);
  });

  it.each<[string, object, object]>([
    [
      'what its fields say against each other',
      crash('1', { occurredAt: '2026-03-05' }),
      { code: 'known-before-it-happened', pointer: '/data/occurredAt' },
    ],
    ['a field of another kind', crash('1', { cause: 'smoking' }), { code: 'unknown-field', pointer: '/data/cause' }],
    ['an unknown kind', crash('1', { kind: 'volcano' }), { code: 'unknown-kind', pointer: '/data/kind' }],
    [
      'no number',
      of('incident.reported', 'n', { kind: 'crash', community: 'C', knownAt: '2026-03-02' }),
      { code: 'missing-field', pointer: '/data/recordId' },
    ],
    ['a feed of its own', crash('1', { feed: 'other' }), { code: 'unknown-field', pointer: '/data/feed' }],
    ['a name', crash('1', { casualties: [{ id: '1', role: 'driver', name: 'x' }] }), { code: 'identity-not-accepted' }],
    ['another subject', { ...found('1'), subject: '2' }, { code: 'subject-mismatch', pointer: '/subject' }],
    ['an unknown domain', found('1', { domain: 'volcano' }), { code: 'unknown-domain', pointer: '/data/domain' }],
    ['a correction of nothing', incidentCorrected('1', { community: 'C' }), { code: 'incident-not-found' }],
    ['a near type', { ...found('1'), type: 'org.vigil.hazard.identifed.v1' }, { suggestion: 'org.vigil.hazard.identified.v1' }],
  ])('refuses %s', async (_, value, problem) => {
    const log = createMemoryLog();
    expect((await one(value, log)).problem).toMatchObject(problem);
    expect(await everything(log)).toEqual([]);
  });

  it('a correction says where it is wrong', async () => {
    const log = createMemoryLog();
    await batch(log, [crash('1')]);
    expect((await one(incidentCorrected('1', { cause: 'smoking' }), log)).problem).toMatchObject({
      code: 'not-of-this-kind',
      pointer: '/data/replaces/cause',
    });
  });

  it('all of a batch or none of it, over all kinds', async () => {
    const log = createMemoryLog();
    const bad = [crash('1'), found('1'), crash('2', { occurredAt: '2026-03-05' })];
    expect(statuses(await batch(log, bad, { atomic: true }))).toEqual([
      'atomic-aborted',
      'atomic-aborted',
      'known-before-it-happened',
    ]);
    expect(await everything(log)).toEqual([]);
    const good = [crash('1'), incidentCorrected('1', { community: 'C-2' }), found('1'), reported('7')];
    expect(statuses(await batch(log, good, { atomic: true }))).toEqual(Array(4).fill('accepted'));
  });

  it('has a JSON Schema of each type, without the feed', () => {
    for (const [type, schema] of Object.entries(feedSchemas())) {
      const text = JSON.stringify(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }));
      expect([type, text.includes('"recordId"'), text.includes('"feed"')]).toEqual([type, true, false]);
    }
    expect(Object.keys(feedSchemas())).toEqual(
      expect.arrayContaining([
        'org.vigil.incident.reported.v1',
        'org.vigil.incident.corrected.v1',
        'org.vigil.incident.retracted.v1',
        'org.vigil.hazard.identified.v1',
      ]),
    );
  });
});
