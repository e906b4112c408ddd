import { rm } from 'node:fs/promises';
import { SHELF, type TestServer } from './global-setup';

export default async (): Promise<void> => {
  const started = (globalThis as Record<symbol, unknown>)[SHELF] as TestServer | undefined;
  if (!started) return;
  await started.server.stop();
  await rm(started.folder, { recursive: true, force: true, maxRetries: 5 });
};
