/** Standard populations for direct standardisation. Only the proportions matter: always divide by the sum (WHO's isn't 100,000). */
import { nests, parseAge, type AgeRange } from './ages';
import { isRefusal, nearest, type Label, type Refusal } from './refusal';
import data = require('./standard-weights.json');

export type WeightedBand = AgeRange & { readonly weight: number };
export type StandardPopulation = {
  readonly id: string;
  readonly title: Label;
  readonly source: string;
  readonly note?: string;
  readonly bands: readonly WeightedBand[];
  /** The sum of the weights, in whatever unit the source has (persons, or parts of 100,000). */
  readonly total: number;
};

const band = (id: string): AgeRange => {
  const range = parseAge(id);
  if (isRefusal(range)) throw new Error(range.detail.en);
  return range;
};

type StandardData = { id: string; title: Label; source: string; note?: string; weights: Record<string, number> };

const standards: ReadonlyMap<string, StandardPopulation> = new Map(
  (data as unknown as StandardData[]).map(({ weights, ...standard }) => {
    const bands = Object.entries(weights).map(([id, weight]) => ({ ...band(id), weight }));
    return [standard.id, { ...standard, bands, total: bands.reduce((sum, b) => sum + b.weight, 0) }];
  }),
);

/** WHO-2000 (18 bands to 85+), WHO-2000-21 (to 100+), ESP-2013, ESP-2013-19, ESP-1976, SEGI, CN-2000, CN-2010, CN-2020. */
export const standardPopulations = (): readonly StandardPopulation[] => [...standards.values()];

export const standardPopulation = (id: string): StandardPopulation | Refusal =>
  standards.get(id) ?? {
    code: 'unknown-standard',
    detail: { zh: `没有标准人口“${id}”`, en: `there is no standard population "${id}"` },
    value: id,
    allowed: [...standards.keys()],
    suggestion: nearest(id, standards.keys()),
  };

/**
 * The standard's weights summed into `bands`. Each band of the standard must lie wholly in one of them or outside all (a part of the
 * ages, such as 0–14, may be asked for); a band that cuts one in two, or holds none, is refused, for splitting one would invent data.
 */
export const collapseStandard = (standard: StandardPopulation, bands: readonly AgeRange[]): WeightedBand[] | Refusal => {
  const refuse = (b: AgeRange, zh: string, en: string): Refusal => ({
    code: 'bands-do-not-nest',
    detail: { zh, en },
    value: b.id,
  });
  const collapsed: WeightedBand[] = [];
  for (const target of bands) {
    const inside = standard.bands.filter((b) => nests(b, target));
    const cut = standard.bands.find((b) => !nests(b, target) && overlap(b, target));
    if (cut)
      return refuse(
        target,
        `年龄段 ${target.id} 切开了标准人口 ${standard.id} 的 ${cut.id}`,
        `band ${target.id} cuts ${cut.id} of ${standard.id} in two`,
      );
    if (inside.length === 0)
      return refuse(target, `标准人口 ${standard.id} 没有 ${target.id}`, `${standard.id} holds nobody of ${target.id}`);
    collapsed.push({ ...target, weight: inside.reduce((sum, b) => sum + b.weight, 0) });
  }
  return collapsed;
};

const overlap = (a: AgeRange, b: AgeRange) => (b.to === null || a.from <= b.to) && (a.to === null || b.from <= a.to);
