import fc from 'fast-check';
import { letterOf, type Refused } from '../dead-letters';
import type { BrokerRecord, PartitionLag } from './broker';
import { eventOf, feedOf, topicOf } from './record';
import { createStallDetector } from './stall';

const bytes = (text: string) => Buffer.from(text);
const record = (value: string | null, headers: Record<string, string | string[]> = {}): BrokerRecord => ({
  offset: 7n,
  key: bytes('r1'),
  value: value === null ? null : bytes(value),
  headers: Object.fromEntries(Object.entries(headers).map(([name, each]) => [name, [each].flat().map(bytes)])),
});
const said = (found: ReturnType<typeof eventOf>) => (found.ok ? found.value : found.problem.code);

describe('topics', () => {
  it('carry the feed they are named for, and no other topic does', () => {
    expect(feedOf(topicOf('clinic-03'))).toBe('clinic-03');
    for (const topic of ['vigil.feed..v1', 'vigil.feed.a.v2', 'vigil.events.v1', 'x.vigil.feed.a.v1', 'vigil.feed.a b.v1'])
      expect([topic, feedOf(topic)]).toEqual([topic, undefined]);
  });
});

describe('a record', () => {
  const ce = { ce_specversion: '1.0', ce_type: 't', ce_source: '/s', ce_id: 'i' };

  it('is the event in structured mode, and its data in binary mode', () => {
    expect(said(eventOf(record('{"id":"i"}', { 'content-type': 'application/cloudevents+json' })))).toEqual({ id: 'i' });
    expect(said(eventOf(record('{"id":"i"}')))).toEqual({ id: 'i' });
    expect(
      said(
        eventOf(record('{"a":1}', { ...ce, ce_subject: 'r1', 'content-type': 'application/json; charset=utf-8', other: 'x' })),
      ),
    ).toEqual({
      specversion: '1.0',
      type: 't',
      source: '/s',
      id: 'i',
      subject: 'r1',
      datacontenttype: 'application/json; charset=utf-8',
      data: { a: 1 },
    });
  });

  it('in binary mode is the same bytes whatever order its headers come in', () => {
    const whole = JSON.stringify(said(eventOf(record('{"a":1}', { ...ce, ce_zoo: 'z', ce_ant: 'a' }))));
    fc.assert(
      fc.property(fc.shuffledSubarray(Object.entries({ ...ce, ce_zoo: 'z', ce_ant: 'a' }), { minLength: 6 }), (headers) => {
        expect(JSON.stringify(said(eventOf(record('{"a":1}', Object.fromEntries(headers)))))).toBe(whole);
      }),
    );
  });

  it.each<[string, BrokerRecord]>([
    ['empty-record', record(null)],
    ['empty-record', record('')],
    ['invalid-json', record('{')],
    ['invalid-encoding', { ...record(''), value: Buffer.from([0xff, 0xfe]) }],
    ['record-too-large', record('"'.padEnd(2 ** 20 + 1))],
    ['invalid-header', record('{}', { ...ce, ce_id: ['a', 'b'] })],
    ['invalid-header', { ...record('{}', ce), headers: { ...record('', ce).headers, ce_id: [Buffer.from([0xff])] } }],
    ['unsupported-media-type', record('<a/>', { ...ce, 'content-type': 'text/xml' })],
  ])('%s', (code, bad) => expect(said(eventOf(bad))).toBe(code));
});

describe('a dead letter', () => {
  const refused = (content: string | Buffer, more: Partial<Refused> = {}) =>
    letterOf({
      feed: 'clinic-03',
      origin: { topic: 't', partition: 0, offset: 7n },
      key: bytes('r1'),
      content: Buffer.from(content),
      eventId: 'i',
      problem: { code: 'x', detail: { zh: '错', en: 'wrong' }, value: 'CANARY' },
      ...more,
    });
  const text = async (content: string | Buffer) =>
    JSON.stringify(await refused(content).then(({ payload, ...rest }) => [rest, String(payload)]), (_, value: unknown) =>
      typeof value === 'bigint' ? String(value) : value,
    );

  it('keeps what came, byte for byte', async () => {
    const letter = await refused('{ "a" : 1 }');
    expect([String(letter.payload), letter.bytes, letter.removed, letter.problem.value]).toEqual([
      '{ "a" : 1 }',
      11,
      [],
      'CANARY',
    ]);
  });

  it('is the same when it comes again, another from another place or of other content', async () => {
    const ids = await Promise.all([
      refused('{}'),
      refused('{}'),
      refused('{"a":1}'),
      refused('{}', { origin: { topic: 't', partition: 0, offset: 8n } }),
    ]);
    expect(new Set(ids.map(({ id }) => id)).size).toBe(3);
    expect(ids[0]!.id).toBe(ids[1]!.id);
  });

  it('holds no identity, wherever it stood, and says where', async () => {
    const letter = await refused('{"data":{"name":"CANARY","list":[{"电话":"CANARY"}],"sex":"F"}}');
    expect(letter.removed).toEqual(['/data/name', '/data/list/0/电话']);
    expect(JSON.parse(String(letter.payload))).toEqual({ data: { list: [{}], sex: 'F' } });
    for (const content of [
      '{"data":{"name":"CANARY"',
      'name: CANARY',
      '<姓名>CANARY</姓名>',
      '{"n": "CANARY 330102199001011234',
      'CANARY 13800138000;',
      `{"patient name":"CANARY", ${'['.repeat(200)}${']'.repeat(200)}}`,
      `${'{"a":'.repeat(100)}{"name":"CANARY"}${'}'.repeat(100)}`,
      Buffer.concat([Buffer.from('{"idcard":"CANARY'), Buffer.from([0xff])]),
    ])
      expect([content, (await text(content)).includes('CANARY')]).toEqual([content, false]);
    expect((await refused('{"a": tru')).payload).not.toBeNull();
  });

  it('of more than a mebibyte keeps its size and digest only', async () => {
    const letter = await refused('x'.repeat(2 ** 20 + 1));
    expect([letter.payload, letter.withheld, letter.bytes]).toEqual([null, 'too-large', 2 ** 20 + 1]);
  });
});

describe('the stall detector', () => {
  const at = (settled: bigint, lag: bigint): PartitionLag[] => [{ topic: 't', partition: 0, settled, lag }];

  it('finds what waits and doesn’t move, and nothing else', () => {
    const detector = createStallDetector(1_000, 600);
    expect(detector.look(0, at(5n, 9n), false)).toBeUndefined();
    expect(detector.look(500, at(5n, 12n), false)).toBeUndefined();
    expect(detector.look(1_000, at(5n, 12n), false)).toEqual({ topic: 't', partition: 0, lag: 12n, forMs: 1_000 });
    expect(detector.look(1_500, at(6n, 11n), false)).toBeUndefined();
    expect(detector.look(2_000, at(6n, 0n), false)).toBeUndefined(); // nothing waits
    expect(detector.look(2_500, at(6n, 1n), false)).toBeUndefined();
    expect(detector.look(3_000, at(6n, 1n), true)).toBeUndefined(); // it waits on purpose
    expect(detector.look(3_500, at(6n, 1n), false)).toBeUndefined();
    expect(detector.look(4_000, [], false)).toBeUndefined(); // taken away
    expect(detector.look(4_500, at(6n, 1n), false)).toBeUndefined();
  });

  it('holds no absence of the broker against the client', () => {
    const detector = createStallDetector(1_000, 600);
    detector.look(0, at(5n, 9n), false);
    expect(detector.look(60_000, at(5n, 9n), false)).toBeUndefined();
    expect(detector.look(60_500, at(5n, 9n), false)).toMatchObject({ forMs: 1_100 });
  });
});
