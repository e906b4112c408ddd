import { dayNumber, fromDayNumber, periodOf, periodsWithin } from '@vigil/vocabulary';
import { dayOf, MINUTES } from './clock';
import { crashes } from './chapters/crash';
import { evaluations } from './chapters/evaluation';
import type { Command } from './chapters/file';
import { hazards } from './chapters/hazards';
import { incidents } from './chapters/incidents';
import { FEEDS, injuries, type CloudEvent, type Feed, type Timed } from './chapters/injuries';
import { organisations } from './chapters/organisations';
import { places } from './chapters/places';
import { programme } from './chapters/programme';
import { survey } from './chapters/survey';
import { COMMUNITIES, population, UNIT_CODES, type Cell, type Unit, exposures } from './district';
import { SILENT } from './truth';

/**
 * Years of a made-up safe-community programme: pure, the same for the same seed and end. What the feeds report goes up by the month,
 * what departments enter goes in on its day. A later run with a later end in the same calendar year tells what was told before,
 * byte for byte, and what has come to be known since; in another year the fall programme begins in another, and the story with it.
 */

export type { CloudEvent };

export type Step =
  | { readonly kind: 'community'; readonly body: (typeof COMMUNITIES)[number] }
  | {
      readonly kind: 'population';
      readonly community: Unit;
      readonly body: {
        readonly year: number;
        readonly cells: readonly Cell[];
        readonly exposures: ReturnType<typeof exposures>;
        readonly source: string;
      };
    }
  | Command
  | {
      readonly kind: 'events';
      readonly feed: Feed;
      readonly events: readonly CloudEvent[];
      /** The batch that came after its quarter's end. */
      readonly late?: boolean;
    };

export interface StoryOptions {
  readonly seed: number;
  /** Months of occurrence, the last of them `until`. */
  readonly months: number;
  /** `YYYY-MM`; nothing that became known after its last day is in the story. */
  readonly until: string;
  /** In how many of the months, the last ones, the registers' routine is told: inspections, hazards, fires, disputes, crashes; default all. */
  readonly routine?: number;
}

export interface Story {
  /** First and last day of occurrence. */
  readonly first: string;
  readonly last: string;
  /** How many things are told: steps, and each event of a batch. */
  readonly size: number;
  /** Ids of the events that can't be accepted. */
  readonly bad: ReadonlySet<string>;
  /** The year in which it ends. Stories of one year can be told in one place, of two they contradict each other. */
  readonly endYear: number;
  readonly steps: readonly Step[];
}

/** Events of one request. */
export const BATCH = 500;

const byTime = (a: Timed, b: Timed): number => a.at - b.at || (a.event.id < b.event.id ? -1 : a.event.id > b.event.id ? 1 : 0);

/** A month's events of each feed, in the order in which they became known, the late batch after everything else. */
const uploads = (told: readonly Timed[]): Step[] => {
  const steps: Step[] = [];
  for (const late of [false, true])
    for (const feed of FEEDS) {
      const events = told.filter((one) => one.feed === feed && (one.late ?? false) === late).map(({ event }) => event);
      for (let i = 0; i < events.length; i += BATCH)
        steps.push({ kind: 'events', feed, events: events.slice(i, i + BATCH), ...(late && { late }) });
    }
  return steps;
};

export const story = ({ seed, months, until, routine = months }: StoryOptions): Story => {
  const end = periodOf('month', `${until}-01`).end;
  let first = `${until}-01`;
  let heard = end; // the silent feed's last day, exclusive
  for (let i = 1; i < months; i++) {
    first = periodOf('month', fromDayNumber(dayNumber(first) - 1)).start;
    if (i === SILENT.months - 1 && months >= 12) heard = first;
  }
  const last = fromDayNumber(dayNumber(end) - 1);
  const endYear = Number(until.slice(0, 4));
  const monthIds = periodsWithin('month', first, end).map(({ id }) => id);
  const routineMonths = monthIds.slice(-routine);
  const cutOff = dayNumber(end) * MINUTES;
  const silentFrom = dayNumber(heard) * MINUTES;

  const crash = crashes(seed, routineMonths);
  const told = [...injuries(seed, monthIds, endYear), ...crash.events]
    .filter(({ at, feed }) => at < (feed === SILENT.feed ? silentFrom : cutOff))
    .sort(byTime);
  const commands = [
    ...organisations(endYear),
    ...places(),
    ...survey(seed, endYear),
    ...programme(seed, endYear),
    ...hazards(seed, routineMonths),
    ...incidents(seed, routineMonths),
    ...crash.commands,
    ...evaluations(seed, first, last),
  ]
    .filter(({ at }) => at < cutOff)
    .sort((a, b) => a.at - b.at);

  const steps: Step[] = COMMUNITIES.map((body) => ({ kind: 'community', body }));
  for (let year = Number(first.slice(0, 4)); year <= endYear; year++)
    for (const community of UNIT_CODES)
      steps.push({
        kind: 'population',
        community,
        body: { year, cells: population(community, year), exposures: exposures(community, year), source: 'vigil simulate' },
      });

  const byMonth = new Map<string, Timed[]>(monthIds.map((month) => [month, []]));
  for (const one of told) byMonth.get(dayOf(one.at).slice(0, 7))!.push(one);
  let given = 0;
  for (const [month, events] of byMonth) {
    const over = dayNumber(periodOf('month', `${month}-01`).end) * MINUTES;
    while (given < commands.length && commands[given]!.at < over) steps.push(commands[given++]!);
    steps.push(...uploads(events));
  }

  return {
    first,
    last,
    size: steps.reduce((sum, step) => sum + (step.kind === 'events' ? step.events.length : 1), 0),
    bad: new Set(told.filter(({ bad }) => bad).map(({ event }) => event.id)),
    endYear,
    steps,
  };
};
