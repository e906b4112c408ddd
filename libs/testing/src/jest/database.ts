import { randomBytes } from 'node:crypto';
import { connect } from '@vigil/platform';

export interface FreshDatabase {
  /** As the role `vigil`, who owns it (or as the role of DATABASE_URL_TEST). */
  readonly url: string;
  /** Ends every connection to it and drops it. */
  drop(): Promise<void>;
}

/** An empty database for one suite, on the server of this test run. */
export const freshDatabase = async (): Promise<FreshDatabase> => {
  const given = process.env['DATABASE_URL_TEST'];
  const admin = given ?? process.env['VIGIL_TEST_PG_ADMIN'];
  const user = given ?? process.env['VIGIL_TEST_PG_URL'];
  if (!admin || !user) throw new Error('no test server: name the suite *.it.spec.ts, or set DATABASE_URL_TEST');
  const name = `vigil_test_${randomBytes(6).toString('hex')}`;
  // template0: nobody can be connected to it, and a connection to the template makes CREATE DATABASE fail.
  await administer(admin, `CREATE DATABASE ${name} ${given ? '' : 'OWNER vigil'} TEMPLATE template0`);
  const url = new URL(user);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => administer(admin, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`) };
};

const administer = async (url: string, statement: string): Promise<void> => {
  const sql = connect(url, { max: 1, applicationName: 'vigil-test-admin' });
  try {
    await sql.unsafe(statement);
  } finally {
    await sql.end({ timeout: 5 });
  }
};
