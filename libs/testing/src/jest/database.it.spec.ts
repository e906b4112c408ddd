import { connect } from '@vigil/platform';
import { freshDatabase } from './database';

it('gives each suite an empty database of its own', async () => {
  const [one, other] = await Promise.all([freshDatabase(), freshDatabase()]);
  const sql = connect(one.url, { max: 1, applicationName: 'spec' });
  try {
    expect(one.url).not.toBe(other.url);
    await sql`CREATE TABLE mine AS SELECT 1 AS x`;
    expect(await sql`SELECT x FROM mine`).toEqual([{ x: 1 }]);
  } finally {
    await sql.end({ timeout: 5 });
    await Promise.all([one.drop(), other.drop()]);
  }
});
