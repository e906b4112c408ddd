/** The thread that holds the columns: reads and counts there leave the server's own free. */
import { connect } from '@vigil/platform';
import { parentPort, workerData } from 'node:worker_threads';
import { createKeeper, type Held } from './keeper';
import type { Cells, Plan } from './scan';
import { NotForColumns } from './table';

export interface Question {
  readonly id: number;
  readonly plan: Plan;
}
/** Neither an answer nor a problem: not yet. */
export interface Reply {
  readonly id: number;
  readonly answer?: { readonly held: Held; readonly cells: Cells } | undefined;
  readonly problem?: string;
  /** Another try is no use. */
  readonly forGood?: boolean;
}

const { url } = workerData as { url: string };
const sql = connect(url, { applicationName: 'vigil-columns', max: 2 });
const keeper = createKeeper(sql);

parentPort!.on('message', (message: Question | 'look' | 'close') => {
  if (message === 'close') {
    void sql.end({ timeout: 1 }).finally(() => process.exit(0));
    return;
  }
  if (message === 'look') {
    void keeper.current();
    return;
  }
  const { id, plan } = message;
  keeper.count(plan).then(
    (answer) => parentPort!.postMessage({ id, answer } satisfies Reply),
    (error: Error) =>
      parentPort!.postMessage({ id, problem: error.message, forGood: error instanceof NotForColumns } satisfies Reply),
  );
});
