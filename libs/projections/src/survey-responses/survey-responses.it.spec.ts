import { survey } from '@vigil/domain';
import { handleCommand, type EventLog, type Position } from '@vigil/event-log';
import { type SqlClient } from '@vigil/platform';
import { type Projections } from '../index';
import { surveyResponsesProjector } from './survey-responses';
import { projectedLog, type ProjectedLog } from '../projected-log.fixture';

let world: ProjectedLog;
let sql: SqlClient;
let log: EventLog;
let projections: Projections;

beforeEach(async () => {
  world = await projectedLog('survey-responses-spec');
  ({ sql, log, projections } = world);
});
afterEach(() => world.close());

let serial = 0;
const send = async (id: string, type: string, data: object): Promise<Position> => {
  const done = await handleCommand(log, survey, id, { type, data }, { commandId: `c${++serial}`, metadata: {} });
  if (!done.ok) throw new Error(JSON.stringify(done.problem));
  return done.value.position!;
};
const record = (id: string, wave: number, ...responses: object[]) => send(id, 'RecordResponses', { wave, responses });
const settled = async (): Promise<Position> => {
  const head = await log.head();
  expect(await projections.waitFor(head, 10_000)).toBe(true);
  return head;
};
const rows = (at?: Position) =>
  sql`SELECT * FROM read.survey_responses WHERE known_from <= ${(at ?? 2n ** 62n).toString()} ORDER BY survey, wave, known_from, response`.then(
    (found) => found.map((row) => ({ ...row })),
  );

const design = {
  name: '知晓率',
  communities: ['S-01', 'S-02'],
  questions: [
    {
      code: 'q1',
      kind: 'knowledge',
      text: { zh: '知道', en: 'aware' },
      type: 'single',
      options: [{ code: 'yes' }, { code: 'no' }],
    },
    { code: 'q2', kind: 'satisfaction', text: { zh: '满意', en: 'satisfied' }, type: 'scale', from: 1, to: 5 },
  ],
  strata: [{ code: 'old' }],
  clusters: true,
  weights: true,
};
const open = async (id: string): Promise<void> => {
  await send(id, 'DesignSurvey', design);
  await send(id, 'OpenWave', { wave: 1, opensOn: '2025-03-01' });
};
const response = (id: string, over: object = {}) => ({ id, stratum: 'old', weight: 2.5, answers: { q1: 'yes', q2: 4 }, ...over });

test('a response becomes a fact with its stratum, cluster, weight, community, group and answers', async () => {
  await open('s1');
  const at = await record('s1', 1, response('r-1', { cluster: '户 “17”', community: 'S-02', group: 'elderly' }), response('r-2'));
  await settled();
  expect(await rows()).toEqual([
    {
      survey: 's1',
      wave: 1,
      response: 'r-1',
      community: 'S-02',
      stratum: 'old',
      cluster: '户 “17”',
      weight: 2.5,
      group: 'elderly',
      answers: { q1: 'yes', q2: 4 },
      known_from: at.toString(),
    },
    expect.objectContaining({ response: 'r-2', community: null, cluster: null, group: null }),
  ]);
});

test('a response id counts once in a wave, as it was first sent; in another wave and another survey it is another', async () => {
  await open('s1');
  await open('s2');
  const first = await record('s1', 1, response('r-1'));
  await record('s1', 1, response('r-1', { answers: { q1: 'no' } }), response('r-2'));
  await record('s2', 1, response('r-1'));
  await send('s1', 'CloseWave', { wave: 1, closedOn: '2025-04-01' });
  await send('s1', 'OpenWave', { wave: 2, opensOn: '2026-03-01' });
  await record('s1', 2, response('r-1', { answers: { q1: 'no' } }));
  await settled();
  expect((await rows()).map((row) => [row['survey'], row['wave'], row['response'], row['answers'].q1])).toEqual([
    ['s1', 1, 'r-1', 'yes'],
    ['s1', 1, 'r-2', 'yes'],
    ['s1', 2, 'r-1', 'no'],
    ['s2', 1, 'r-1', 'yes'],
  ]);
  expect(await rows(first)).toHaveLength(1);
});

test('a page applied whole keeps the first of two, and applied twice changes nothing', async () => {
  await open('s1');
  await record('s1', 1, ...Array.from({ length: 500 }, (_, at) => response(`r-${at}`)));
  await record('s1', 1, ...Array.from({ length: 500 }, (_, at) => response(`r-${at + 400}`, { answers: { q1: 'no' } })));
  await settled();
  const before = await rows();
  expect([before.length, before.filter((row) => row['answers'].q1 === 'yes').length]).toEqual([900, 500]);
  const events = (await log.readStream('survey-s1')).filter(({ type }) => surveyResponsesProjector.handles.has(type));
  const apply = () =>
    sql.begin(async (tx) => {
      await tx`SET LOCAL search_path TO read`;
      await surveyResponsesProjector.apply(tx as never, events);
    });
  await apply();
  expect(await rows()).toEqual(before);
  await sql`TRUNCATE read.survey_responses`;
  await apply();
  expect(await rows()).toEqual(before);
});

test('rebuilt beside the live one it is the same', async () => {
  await open('s1');
  await open('s2');
  for (let batch = 0; batch < 5; batch++)
    for (const id of ['s1', 's2'])
      await record(id, 1, ...[0, 1, 2].map((at) => response(`r-${batch + at}`, { weight: batch + 1 })));
  await settled();
  const before = await rows();
  const [rebuilt] = await projections.rebuild('survey-responses');
  expect(rebuilt).toMatchObject({ name: 'survey-responses', digest: { equal: true } });
  expect(await rows()).toEqual(before);
});
