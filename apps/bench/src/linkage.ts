import { linkPairs, type LinkRecord } from '@vigil/feeds';
import { addDays } from '@vigil/vocabulary';
import { seconds, whole, type Figure } from './world';

const CLINIC = 1_000_000;
const POLICE = 100_000;
/** Of the police's reports, those of a person that a clinic reported too. */
const SHARED = 85_000;
const MECHANISMS = ['fall', 'fall', 'fall', 'struck', 'sharp', 'burn', 'animal', 'road-transport', 'road-transport', 'other'];

/** Numerical Recipes' 32-bit congruential generator: the same records on every machine. */
const random = (seed: number): ((limit: number) => number) => {
  let state = seed >>> 0;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
};

/**
 * A year of a city: 2,500 communities in 125 streets, a million injuries known to clinics and a hundred thousand to police. Of the
 * second report 8 % are a day off, 5 % elsewhere in the street, 8 % a year of age off and 3 % without one.
 */
const city = (): { records: LinkRecord[]; truth: Map<string, string> } => {
  const below = random(20_260_101);
  const days = Array.from({ length: 365 }, (_, day) => addDays('2025-01-01', day));
  const places = Array.from({ length: 2_500 }, (_, place) => `S${Math.floor(place / 20)}/${place}`);
  const records: LinkRecord[] = [];
  const truth = new Map<string, string>();
  const person = (id: string, feed: string): LinkRecord => ({
    ...{ id, feed, day: days[below(365)]!, community: places[below(2_500)]!, age: { value: below(90), unit: 'year' } },
    ...{ sex: below(2) === 0 ? 'F' : 'M', mechanism: MECHANISMS[below(MECHANISMS.length)]! },
  });
  for (let n = 0; n < CLINIC; n++) records.push(person(`c${n}`, 'clinic'));
  for (let n = 0; n < POLICE; n++) {
    const id = `p${n}`;
    if (n >= SHARED) {
      records.push(person(id, 'police'));
      continue;
    }
    const same = records[n]!;
    truth.set(id, same.id);
    const off = below(100);
    const at = places.indexOf(same.community!);
    records.push({
      ...{ ...same, id, feed: 'police' },
      day: off < 8 ? addDays(same.day!, off < 4 ? 1 : -1) : same.day,
      community: below(100) < 5 ? places[at - (at % 20) + below(20)]! : same.community,
      age: below(100) < 3 ? null : { value: same.age!.value + (below(100) < 8 ? 1 : 0), unit: 'year' },
    });
  }
  return { records, truth };
};

/** A million records of one feed and a hundred thousand of another: every cross-feed pair the passes put together, on one thread. */
export const benchLinkage = async (): Promise<Figure[]> => {
  const { records, truth } = city();
  const parents = new Map(records.map(({ community }) => [community!, community!.split('/')[0]!]));
  const run = (estimate: boolean) =>
    linkPairs(records, { estimate, parentOf: (code) => parents.get(code), neverTwice: new Set(['clinic', 'police']) });
  let found: ReturnType<typeof run> | undefined;
  const took = await seconds(async () => void (found = run(false)));
  const { match, review, compared, skipped, outdone } = found!;
  const right = match.filter(({ a, b }) => truth.get(b) === a).length;
  const learning = await seconds(async () => void run(true));
  return [
    { what: 'linkage of 1,000,000 × 100,000 records', value: `${took.toFixed(1)} s`, aim: '< 300 s', met: took < 300 },
    { what: 'linkage, with EM on the same data', value: `${learning.toFixed(1)} s`, aim: '< 300 s', met: learning < 300 },
    { what: 'linkage: pairs compared', value: whole(compared) },
    { what: 'linkage: matches, of them right', value: `${whole(match.length)}, ${((100 * right) / match.length).toFixed(2)} %` },
    { what: 'linkage: true pairs found', value: `${((100 * right) / truth.size).toFixed(2)} %` },
    {
      what: 'linkage: for review, outdone, blocks skipped',
      value: [review.length, outdone, skipped.length].map(whole).join(', '),
    },
    { what: 'linkage: memory (peak RSS)', value: `${whole(process.resourceUsage().maxRSS / 1024)} MB` },
  ];
};
