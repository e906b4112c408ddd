import { AXES, deterministicId, type AxisName } from '@vigil/vocabulary';
import { createRandom } from './simulation/random';

/** One command of a made-up day's work, as plain data: the domain's deciders take it. */
export interface WorkStep {
  readonly aggregate: 'injury' | 'community' | 'hazard';
  /** The aggregate's id. */
  readonly id: string;
  readonly command: { readonly type: string; readonly data: unknown };
  /** The same at every asking, so that a retry carries the same event ids. */
  readonly commandId: string;
}

/** Numbers in [0, 1) that belong to one step of one seed; seeds below 2²⁰. */
const chance = (seed: number, step: number): (() => number) => {
  const random = createRandom(seed * 2 ** 32 + step);
  return () => random.next() / 2 ** 32;
};

const COMMUNITIES = ['qiaobei', 'qiaonan', 'C-1', 'C-2', 'park_3'];
const FRAMES = ['panel', 'NEISS'];
/** What quoting gets wrong first. */
const STRATA = ['urban', 'with "quotes", (brackets)', 'back\\slash {}', '农村', "it's", ' blanks '.trim(), 'NULL', ','];

/**
 * All kinds of commands on injuries, communities and hazards, mixed by a seed; `at(n)` is the n-th, whatever was asked before.
 * Some are refused when sent in order (a correction of a retracted record, a report sent twice): that is part of life.
 */
export const workload = (seed: number): { at(step: number): WorkStep } => {
  const kindOf = (step: number): string => {
    if (step < COMMUNITIES.length) return 'RegisterCommunity';
    const drawn = chance(seed, step)();
    const odds = [
      ['ReportInjury', 0.4],
      ['IdentifyHazard', 0.03],
      ['ClassifyHazard', 0.02],
      ['OrderRectification', 0.02],
      ['ExtendDeadline', 0.01],
      ['CompleteRectification', 0.01],
      ['VerifyRectification', 0.01],
      ['CorrectInjury', 0.14],
      ['UpdateInjuryOutcome', 0.06],
      ['LinkInjury', 0.1],
      ['UnlinkInjury', 0.05],
      ['RetractInjury', 0.03],
      ['RecordPopulation', 0.07],
      ['RecordExposure', 0.03],
      ['DrawBoundary', 0.015],
      ['RetireCommunity', 0.005],
    ] as const;
    let below = 0;
    for (const [kind, share] of odds) if (drawn < (below += share)) return kind;
    return 'ReportInjury';
  };

  const injuryOf = (step: number): string => deterministicId('injury', 'clinic', `${seed}-${step}`);

  const at = (step: number): WorkStep => {
    const type = kindOf(step);
    const next = chance(seed, step);
    next(); // spent on the kind
    const whole = (below: number): number => Math.floor(next() * below);
    const pick = <T>(from: readonly T[]): T => from[whole(from.length)]!;
    const sometimes = <T>(value: T, share = 0.5): T | undefined => (next() < share ? value : undefined);
    const amount = (): number =>
      pick([whole(5_000), next() * 1e4, 0.1 + 0.2, 1 / 3, 0, 1e10 * next(), 5e-7 * next(), 2 ** 33 + 0.5]);
    const code = (axis: AxisName): unknown =>
      pick([
        pick(AXES[axis].codes).code,
        { system: 'niss-card', version: '14', code: `${whole(14)}` },
        { system: '?', version: '1', code: 'x' },
      ]);
    const day = (): string => `202${4 + whole(3)}-${pick(['01-01', '02-28', '06-15', '12-31'])}`;
    const time = (): string => pick([day(), `${day()}T16:30:00Z`, `${day()}T23:59:59.999+08:00`]);
    const fields = () => ({
      occurredAt: sometimes(time(), 0.8),
      residence: sometimes(pick(COMMUNITIES)),
      residency: sometimes(code('residency')),
      age: sometimes({ value: whole(100), unit: pick(['year', 'month', 'day']) }, 0.8),
      sex: sometimes(code('sex'), 0.8),
      mechanism: sometimes(code('mechanism')),
      intent: sometimes(code('intent')),
      place: sometimes(code('place')),
      activity: sometimes(code('activity'), 0.2),
      nature: sometimes(code('nature')),
      bodyPart: sometimes(code('bodyPart')),
      disposition: sometimes(code('disposition')),
      severity: sometimes(
        pick([
          { scale: 'ISS', value: 16 },
          { scale: 'GA16', value: 'fatal' },
          { scale: 'WHO', value: '1' },
        ]),
      ),
      externalCause: sometimes({ system: 'icd-10', version: '2019', code: pick(['W19.9', 'Y40.0', 'X60', 'V01', '']) }),
      daysToDeath: sometimes(whole(40), 0.1),
    });
    /** A report of the lately made ones, so that links and corrections meet again and again. */
    const reported = (): string => {
      for (let tries = 0; tries < 12; tries++) {
        const before = step - 1 - whole(Math.min(step, 40));
        if (kindOf(before) === 'ReportInjury') return injuryOf(before);
      }
      return injuryOf(0); // never reported: refused, or a link ahead of its report
    };
    /** Few, so that their steps follow one another often enough. */
    const hazard = `${seed}-${whole(3) + 3 * Math.floor(step / 300)}`;
    const decidedBy = pick(['automatic', 'automatic', 'manual']);
    const year = 2024 + whole(2);

    const make: Record<string, () => readonly [id: string, data: unknown]> = {
      RegisterCommunity: () => {
        const own = COMMUNITIES[step]!;
        const name = { zh: `社区 ${step}`, en: `Community "${step}"` };
        return [
          own,
          { code: own, name, type: 'street', parent: sometimes('zhenjiang'), groups: sometimes(['G-1', `G-${step}`]) },
        ];
      },
      ReportInjury: () => [
        injuryOf(step),
        {
          ...fields(),
          recordId: `${seed}-${step}`,
          feed: 'clinic',
          knownAt: time(),
          visit: sometimes('follow-up', 0.1) ?? 'first',
          community: pick(COMMUNITIES),
          sampling: sometimes(
            { frame: pick(FRAMES), weight: Math.min(amount(), 1e8) + 0.01, stratum: pick(STRATA), unit: `${whole(9)}` },
            0.4,
          ),
        },
      ],
      CorrectInjury: () => {
        const entries = Object.entries(fields()).map(([field, value]) => [field, next() < 0.15 ? null : value]);
        const replaces = {
          ...Object.fromEntries(entries),
          visit: sometimes(pick(['first', 'follow-up']), 0.2),
          community: sometimes(pick(COMMUNITIES)),
        };
        return [reported(), { replaces, reason: 'register' }];
      },
      UpdateInjuryOutcome: () => [
        reported(),
        {
          disposition: sometimes('died', 0.7),
          daysToDeath: sometimes(whole(30)),
          severity: sometimes({ scale: 'AIS', value: 3 }),
          asOf: '2026-03-04',
        },
      ],
      LinkInjury: () => [reported(), { other: reported(), decidedBy, score: sometimes(next()) }],
      UnlinkInjury: () => [reported(), { other: reported(), decidedBy, reason: 'two people' }],
      RetractInjury: () => [reported(), { reason: 'test entry' }],
      RecordPopulation: () => {
        const cells: unknown[] = [];
        const [sexes, residency] = [pick([['F', 'M'], ['total'], ['X', 'unknown']]), pick([undefined, 'resident', 'migrant'])];
        for (const sex of sexes)
          for (let ageFrom = whole(20); ageFrom <= 90; ) {
            const ageTo = ageFrom + whole(30);
            const open = ageTo > 85 || next() < 0.1;
            cells.push({ sex, ageFrom, ageTo: open ? pick([null, undefined]) : ageTo, residency, persons: amount() });
            if (open) break;
            ageFrom = ageTo + 1 + whole(3);
          }
        return [pick(COMMUNITIES), { year, cells, source: 'yearbook' }];
      },
      RecordExposure: () => [pick(COMMUNITIES), { year, kind: pick(['vehicles', 'worked-hours']), amount: amount() }],
      DrawBoundary: () => {
        const ring = [
          [119.4, 32.1],
          [119.5, 32.1],
          [119.5, 32.2],
          [119.4, 32.1],
        ];
        return [pick(COMMUNITIES), { referenceSystem: 'CGCS2000', rings: [ring] }];
      },
      IdentifyHazard: () => [
        hazard,
        {
          community: pick(COMMUNITIES),
          domain: 'fire',
          description: `wires "bare" ${step}`,
          identifiedAt: pick(['2026-01-01', '2026-01-01T23:30:00Z']),
        },
      ],
      ClassifyHazard: () => [hazard, { level: pick(['general', 'major']), classFile: sometimes('A-1') }],
      OrderRectification: () => [hazard, { responsible: '物业', deadline: `2026-02-${10 + whole(18)}` }],
      ExtendDeadline: () => [hazard, { deadline: `2026-03-${10 + whole(18)}`, reason: 'rain' }],
      CompleteRectification: () => [hazard, { completedAt: '2026-03-01', note: sometimes('done') }],
      VerifyRectification: () => [hazard, { result: pick(['passed', 'rejected']), verifiedAt: '2026-03-02' }],
      RetireCommunity: () => [pick(COMMUNITIES), { on: '2026-06-30', reason: 'merged' }],
    };
    const [id, data] = make[type]!();
    const aggregate = /Injury/.test(type) ? 'injury' : /Hazard|Rectification|Deadline/.test(type) ? 'hazard' : 'community';
    return { aggregate, id, command: { type, data: JSON.parse(JSON.stringify(data)) }, commandId: `work ${seed} ${step}` };
  };
  return { at };
};
