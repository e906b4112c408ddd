import { UNIT_CODES, type Unit } from '../district';
import { moment } from '../clock';
import { begin, both, commandsOf, type Command } from './file';
import { SINCE } from './organisations';

const LETTER = { 'S-01': ['A', '甲'], 'S-02': ['B', '乙'] } as const;

const KINDS = [
  { kind: 'RENT', type: 'rental-housing', zh: '示例出租屋', en: 'Example rental house', by: 'EX-OFFICE', count: { 'S-01': 8, 'S-02': 8 } },
  { kind: 'SCHOOL', type: 'school', zh: '示例小学', en: 'Example school', by: 'EX-EDUCATION', count: { 'S-01': 1, 'S-02': 1 } },
  { kind: 'SITE', type: 'construction-site', zh: '示例工地', en: 'Example building site', by: 'EX-OFFICE', count: { 'S-01': 1, 'S-02': 1 } },
  { kind: 'ROAD', type: 'road-segment', zh: '示例路段', en: 'Example road segment', by: 'EX-POLICE', count: { 'S-01': 2, 'S-02': 2 } },
  { kind: 'WATER', type: 'water', zh: '示例河段', en: 'Example reach of river', by: 'EX-OFFICE', count: { 'S-01': 1, 'S-02': 1 } },
  { kind: 'CARE', type: 'care-home', zh: '示例养老院', en: 'Example care home', by: 'EX-HEALTH', count: { 'S-01': 1, 'S-02': 1 } },
  { kind: 'WORKS', type: 'enterprise', zh: '示例船厂', en: 'Example shipyard', by: 'EX-OFFICE', count: { 'S-01': 0, 'S-02': 1 } },
] as const; // prettier-ignore

export const placeId = (unit: Unit, kind: (typeof KINDS)[number]['kind'], number = 1): string =>
  `EX-${LETTER[unit][0]}-${kind}-${number}`;
export const RENTALS = 8;

/** The register of places. */
export const places = (): Command[] =>
  commandsOf(
    UNIT_CODES.flatMap((unit) =>
      KINDS.flatMap(({ kind, type, zh, en, by, count }) =>
        Array.from({ length: count[unit] }, (_, i) => {
          const code = placeId(unit, kind, i + 1);
          const [latin, chinese] = LETTER[unit];
          return begin('places', code, moment(SINCE, 11), {
            code,
            community: unit,
            type,
            name: both(`${zh}${chinese}-${i + 1}`, `${en} ${latin}-${i + 1}`),
            supervisedBy: by === 'EX-OFFICE' ? `${by}-${latin}` : by,
            validFrom: SINCE,
          });
        }),
      ),
    ),
  );
