import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { childNode } from './child-node.fixture';
import { claimDataFolder } from './data-folder';
import { thisProcess } from './process-mark';

let home: string;
beforeEach(async () => void (home = await mkdtemp(join(tmpdir(), 'vigil folder '))));
afterEach(() => rm(home, { recursive: true, force: true }));

it('has one owner at a time, and names it', async () => {
  const dir = join(home, 'new/data');
  const first = await claimDataFolder(dir);
  await expect(claimDataFolder(dir)).rejects.toMatchObject({
    code: 'data-folder-in-use',
    message: expect.stringContaining(`process ${process.pid}`),
  });
  await first.release();
  await first.release();
  const second = await claimDataFolder(dir);
  await second.release();
  expect((await readdir(join(dir, 'owner'))).length).toBeLessThanOrEqual(2);
});

it('lets in exactly one of many racers for the claim of a dead owner', async () => {
  const dir = join(home, 'raced');
  await mkdir(join(dir, 'owner'), { recursive: true });
  for (let round = 1; round <= 20; round += 1) {
    await writeFile(join(dir, `owner/${round * 100}`), JSON.stringify({ ...thisProcess(), started: '1' })); // died holding it
    const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => claimDataFolder(dir)));
    const won = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    expect(won).toHaveLength(1);
    await won[0]!.release();
  }
});

it('is free again once its owner was killed, though the number is in use by another process', async () => {
  const dir = join(home, 'killed');
  const owner = childNode(
    `await platform.claimDataFolder(${JSON.stringify(dir)}); console.log('claimed'); setInterval(() => 0, 1e3);`,
  );
  await owner.line('claimed');
  await expect(claimDataFolder(dir)).rejects.toMatchObject({ message: expect.stringContaining(`process ${owner.child.pid}`) });
  await owner.kill();
  const claim = await claimDataFolder(dir);
  await claim.release();
  await writeFile(join(dir, 'owner/9'), JSON.stringify({ ...thisProcess(), started: '1' }));
  await (await claimDataFolder(dir)).release();
}, 20_000);

it('believes a claim from another container while it beats', async () => {
  const dir = join(home, 'shared');
  await (await claimDataFolder(dir)).release();
  const file = join(dir, 'owner/5');
  await writeFile(file, JSON.stringify({ pid: 1, started: '1', realm: 'elsewhere' }));
  await expect(claimDataFolder(dir)).rejects.toMatchObject({ code: 'data-folder-in-use' });
  await utimes(file, new Date(0), new Date(0));
  await (await claimDataFolder(dir)).release();
});

it('refuses a file', async () => {
  await writeFile(join(home, 'file'), '');
  await expect(claimDataFolder(join(home, 'file'))).rejects.toMatchObject({ code: 'data-folder-not-a-folder' });
});
