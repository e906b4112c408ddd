import { deterministicId, fingerprint } from '@vigil/vocabulary';
import { EXIT, Failure } from '../exit';
import type { Client } from '../http';
import { awaitPosition } from '../wait';
import { incidentIdOf } from './chapters/file';
import { pushStory } from './push';
import { story, type CloudEvent } from './story';

interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** The server's side of the conversation, in memory: registered codes, recorded years, event ids, files by address. */
const fakeVigil = () => {
  const codes = new Set<string>();
  const years = new Map<string, Set<number>>();
  const ids = new Set<string>();
  const files = new Map<string, { revision: number; position: number; data: unknown }[]>();
  let position = 0;
  const refuse = (status: number): never => {
    throw new Failure(EXIT.refused, 'refused', { status, code: `${status}` });
  };
  const command = (path: string, headers: Readonly<Record<string, string>>, body: Record<string, unknown>) => {
    const [, register, given] = /^\/api\/v1\/([a-z]+)(?:\/([^/]+)\/.+)?$/.exec(path)!;
    const names = { organisations: body['code'], places: body['code'] } as Record<string, unknown>;
    const singular: Record<string, string> = { hazards: 'hazard', inspections: 'inspection', interventions: 'intervention' };
    const named = body['recordId'] ? incidentIdOf(body['feed'] as string, body['recordId'] as string) : names[register!];
    const key = headers['idempotency-key'];
    const made = key && deterministicId(singular[register!] ?? register!.slice(0, -1), key, fingerprint(JSON.stringify(body)));
    const id = (given ?? named ?? made) as string;
    const address = `/api/v1/${register}/${id}`;
    const events = files.get(address) ?? [];
    const expected = headers['if-match'];
    if (given === undefined ? events.length > 0 : expected !== `"r${register === 'injuries' ? 0 : events.length - 1}"`)
      refuse(given === undefined ? 409 : 412);
    const revision = given !== undefined && register === 'injuries' ? 1 : events.length;
    if (register === 'injuries' && events.length > 0) refuse(412);
    files.set(address, [...events, { revision, position: ++position, data: body }]);
    return { id, revision, position };
  };
  const send = async (path: string, { headers = {}, body = '' }: Asked): Promise<unknown> => {
    const sent =
      headers['content-type'] === 'application/x-ndjson'
        ? { responses: body.split('\n').map((line) => JSON.parse(line)) }
        : JSON.parse(body);
    const answer = (): unknown => {
      if (path !== '/api/v1/communities') return command(path, headers, sent);
      if (codes.has(sent.code)) refuse(409);
      codes.add(sent.code);
      return { position: ++position };
    };
    const told = answer();
    return { headers: new Headers(), json: async () => told };
  };
  const post = async (path: string, body: unknown): Promise<unknown> => {
    const community = /communities\/(.+)\/populations/.exec(path)?.[1];
    if (community) {
      years.set(community, (years.get(community) ?? new Set()).add((body as { year: number }).year));
      return { position: ++position };
    }
    const results = (body as CloudEvent[]).map(({ id, data }) => {
      const impossible = !data['community'] && !data['replaces'] && !data['reason'];
      const status = impossible ? 'rejected' : ids.has(id) ? 'duplicate' : 'accepted';
      if (status === 'accepted') position++;
      ids.add(id);
      return { id, status, position, ...(impossible && { problem: { code: 'missing-field' } }) };
    });
    return { results };
  };
  const get = async (path: string): Promise<unknown> => {
    const address = /^(.+)\/timeline$/.exec(path)?.[1];
    if (address) return files.has(address) ? { data: files.get(address) } : refuse(404);
    return { populationYears: [...(years.get(path.split('/').at(-1)!) ?? [])] };
  };
  return { client: { post, get, send } as unknown as Client, years, files, now: () => position };
};

const bar = () => {
  const seen: number[] = [];
  return { seen, to: (done: number) => void seen.push(done), end: () => undefined };
};
const told = story({ seed: 1, months: 3, until: '2026-03' });

test('a story goes out once; a second run changes nothing and says so', async () => {
  const server = fakeVigil();
  const progress = bar();
  const first = await pushStory(server.client, told, progress);
  const { accepted, rejected } = first;
  expect(first).toMatchObject({ duplicates: 0, unexpected: 0, position: server.now(), problems: [] });
  expect(accepted + rejected).toBe(told.size);
  expect(accepted).toBe(server.now());
  expect(rejected).toBeGreaterThan(0);
  expect(progress.seen.at(-1)).toBe(told.size);
  expect([...server.years.get('S-01')!]).toEqual([2026]);
  const sum = Object.values(first.kinds).reduce((n, tally) => n + tally.accepted, 0);
  expect(sum).toBe(accepted);

  const at = server.now();
  const again = await pushStory(server.client, told, bar());
  expect(again).toMatchObject({ accepted: 0, duplicates: accepted, rejected, unexpected: 0 });
  expect(server.now()).toBe(at);
});

test.each([1, 5, 40, 90])('a run that stopped after %i steps is mended by the next', async (steps) => {
  const server = fakeVigil();
  await pushStory(server.client, { ...told, steps: told.steps.slice(0, steps) }, bar());
  const rest = await pushStory(server.client, told, bar());
  expect(rest).toMatchObject({ duplicates: steps, unexpected: 0 });
  expect(rest.accepted + rest.duplicates + rest.rejected).toBe(told.size);
  expect([...server.years.get('S-02')!]).toEqual([2026]);
});

test('what a file holds otherwise is said, not passed over', async () => {
  const server = fakeVigil();
  await pushStory(server.client, told, bar());
  const [address, events] = [...server.files].find(([each]) => each.includes('/hazards/'))!;
  server.files.set(address, [...events.slice(0, -1), { ...events.at(-1)!, data: { reason: 'another' } }]);
  const again = await pushStory(server.client, told, bar());
  expect(again).toMatchObject({ accepted: 0, unexpected: 1, problems: [expect.objectContaining({ code: 'told-otherwise' })] });
});

test('stories that end in different years are not told in one place', async () => {
  const server = fakeVigil();
  await pushStory(server.client, told, bar());
  const at = server.now();
  const another = pushStory(server.client, story({ seed: 1, months: 1, until: '2027-01' }), bar());
  await expect(another).rejects.toMatchObject({ exitCode: EXIT.refused, message: expect.stringContaining('2026') });
  expect(server.now()).toBe(at);
});

test('waiting ends when the read models are there, and at once when one has halted', async () => {
  let position = 1;
  const following = {
    get: async () => ({ data: [{ name: 'facts', state: 'live', position: position++ }] }),
  } as unknown as Client;
  const progress = bar();
  await awaitPosition(following, 4, progress);
  expect(progress.seen).toEqual([0, 1, 2]);
  const halted = { get: async () => ({ data: [{ name: 'facts', state: 'halted', position: 2 }] }) } as unknown as Client;
  await expect(awaitPosition(halted, '4')).rejects.toMatchObject({ exitCode: EXIT.unreachable });
});
