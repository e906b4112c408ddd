import { EXIT, Failure } from '../exit';
import type { Client } from '../http';
import { awaitPosition } from '../wait';
import { pushStory } from './push';
import { story } from './story';

/** The server's side of the conversation, in memory: registered codes, recorded years, event ids. */
const fakeVigil = () => {
  const codes = new Set<string>();
  const years = new Map<string, Set<number>>();
  const ids = new Set<string>();
  const asked: string[] = [];
  let position = 0;
  const post = async (path: string, body: unknown): Promise<unknown> => {
    asked.push(`POST ${path}`);
    if (path === '/api/v1/communities') {
      const { code } = body as { code: string };
      if (codes.has(code)) throw new Failure(EXIT.refused, 'registered', { status: 409, code: 'community-exists' });
      codes.add(code);
      return { position: ++position };
    }
    const community = /communities\/(.+)\/populations/.exec(path)?.[1];
    if (community) {
      years.set(community, (years.get(community) ?? new Set()).add((body as { year: number }).year));
      return { position: ++position };
    }
    const results = (body as { id: string }[]).map(({ id }) => {
      const status = ids.has(id) ? 'duplicate' : 'accepted';
      if (status === 'accepted') position++;
      ids.add(id);
      return { id, status, position };
    });
    const of = (status: string) => results.filter((each) => each.status === status).length;
    return { accepted: of('accepted'), duplicates: of('duplicate'), rejected: 0, results };
  };
  const get = async (path: string): Promise<unknown> => {
    asked.push(`GET ${path}`);
    return { populationYears: [...(years.get(path.split('/').at(-1)!) ?? [])] };
  };
  return { client: { post, get } as unknown as Client, asked, years, now: () => position };
};

const bar = () => {
  const seen: number[] = [];
  return { seen, to: (done: number) => void seen.push(done), end: () => undefined };
};

test('a story goes out once; a second run changes nothing and says so', async () => {
  const server = fakeVigil();
  const told = story({ seed: 1, months: 2, until: '2026-01' });
  const progress = bar();
  const first = await pushStory(server.client, told, progress);
  expect(first).toEqual({ accepted: told.events, duplicates: 0, rejected: 0, position: server.now(), problems: [] });
  expect(progress.seen.at(-1)).toBe(told.events);
  expect([...server.years.get('S-01')!]).toEqual([2025, 2026]);

  const at = server.now();
  const again = await pushStory(server.client, told, bar());
  expect(again).toMatchObject({ accepted: 0, duplicates: told.events, rejected: 0 });
  expect(server.now()).toBe(at);
});

test('a run that stopped between a community and its people is mended by the next', async () => {
  const server = fakeVigil();
  const told = story({ seed: 1, months: 1, until: '2026-01' });
  await pushStory(server.client, { ...told, steps: told.steps.filter(({ kind }) => kind === 'community') }, bar());
  expect(server.years.size).toBe(0);
  await pushStory(server.client, told, bar());
  expect([...server.years.get('S-02')!]).toEqual([2026]);
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
