import { DISTRICT, type Unit } from '../district';
import { moment } from '../clock';
import { begin, commandsOf, type Command } from './file';

const [A, B] = ['S-01', 'S-02'] as const;

interface Shape {
  readonly code: string;
  readonly kind: string;
  readonly zh: string;
  readonly en: string;
  readonly community: string;
  readonly department?: string;
  readonly role: 'lead' | 'feed' | 'partner';
  readonly joins: readonly Unit[];
}

const ORGANISATIONS: readonly Shape[] = [
  { code: 'EX-OFFICE-A', kind: 'government', zh: '示例街道甲办事处', en: 'Example Subdistrict Office A', community: A, role: 'lead', joins: [A] },
  { code: 'EX-OFFICE-B', kind: 'government', zh: '示例镇乙政府', en: 'Example Town Government B', community: B, role: 'lead', joins: [B] },
  { code: 'EX-HEALTH', kind: 'health', zh: '示例区卫生局', en: 'Example District Health Office', community: DISTRICT, role: 'partner', joins: [A, B] },
  { code: 'EX-CLINIC', kind: 'health', zh: '示例卫生服务中心', en: 'Example Health Centre', community: DISTRICT, department: 'EX-HEALTH', role: 'feed', joins: [A, B] },
  { code: 'EX-POLICE', kind: 'police', zh: '示例区公安分局', en: 'Example District Police', community: DISTRICT, role: 'feed', joins: [A, B] },
  { code: 'EX-FIRE', kind: 'fire', zh: '示例消防救援站', en: 'Example Fire Station', community: DISTRICT, role: 'feed', joins: [A, B] },
  { code: 'EX-EDUCATION', kind: 'government', zh: '示例区教育局', en: 'Example District Education Office', community: DISTRICT, role: 'partner', joins: [A, B] },
  { code: 'EX-SCHOOL-A', kind: 'school', zh: '示例小学甲', en: 'Example School A', community: A, department: 'EX-EDUCATION', role: 'feed', joins: [A] },
  { code: 'EX-SCHOOL-B', kind: 'school', zh: '示例小学乙', en: 'Example School B', community: B, department: 'EX-EDUCATION', role: 'feed', joins: [B] },
  { code: 'EX-WORKS-B', kind: 'enterprise', zh: '示例船厂乙', en: 'Example Shipyard B', community: B, role: 'partner', joins: [B] },
]; // prettier-ignore

/** The one that is renamed. */
export const RENAMED = 'EX-HEALTH';
export const renamedOn = (endYear: number): string => `${endYear - 1}-07-01`;
export const SINCE = '2000-01-01';

/** The departments of the programme, and one that is renamed in the middle of the year before the last. */
export const organisations = (endYear: number): Command[] =>
  commandsOf(
    ORGANISATIONS.map(({ code, kind, zh, en, community, department, role, joins }) => {
      const body = { code, name: { zh, en }, kind, ...(department && { department }), community, validFrom: SINCE };
      const one = begin('organisations', code, moment(SINCE), body);
      for (const unit of joins) one.then(moment(SINCE, 10), 'memberships', { community: unit, role, on: SINCE });
      if (code === RENAMED) {
        const validFrom = renamedOn(endYear);
        const name = { zh: '示例区卫生健康局', en: 'Example District Health Commission' };
        one.then(moment(validFrom), 'renamings', { name, validFrom, reason: '机构改革 · departments were reorganised' });
      }
      return one;
    }),
  );
