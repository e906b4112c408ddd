import { z } from 'zod';
import { HttpProblem } from '../http/problem';
import { route, type Call, type Route } from '../route';
import { bilingualSchema, json200 } from './answers';
import { asOfPosition, asOfQuery } from './as-of';

const counts = z.object({
  injuries: z.int(),
  incidents: z.int(),
  hazards: z.int(),
  inspections: z.int(),
  activities: z.int(),
});
const part = z.number().min(0).max(1).nullable();
const shares = z.object({ injuries: part, incidents: part, hazards: part, inspections: part, activities: part });

const sharesSchema = z.object({
  data: z.array(
    z.object({
      organisation: z.string().nullable(),
      registered: z.boolean(),
      name: bilingualSchema.nullable(),
      kind: z.string().nullable(),
      department: z.string().nullable(),
      counts,
      shares,
    }),
  ),
  kinds: z.array(z.object({ kind: z.string().nullable(), organisations: z.int(), counts, shares })),
  totals: z.object({ organisations: z.int(), participating: z.int(), sharing: z.int(), counts }),
});

/** What the register of organisations has besides every register's routes. */
export const organisationRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/organisations/shares',
    tag: 'organisations',
    summary: {
      zh: '部门参与和数据共享:各单位上报的伤害与事件、排查的隐患、检查、参加的活动,件数与占比',
      en: 'Who shares data and takes part: injuries, incidents, hazards, inspections, activities of each organisation, and its share',
    },
    query: asOfQuery.extend({
      from: z.iso.date().optional(),
      to: z.iso.date().optional(),
      community: z.string().max(64).optional(),
    }),
    answers: json200(sharesSchema, {
      zh: '按单位代码;来源以其代码归到同代码的单位,无人认领的列在最后',
      en: 'by code; a feed counts for the organisation of its code, what nobody owns comes last',
    }),
    handler: async (call) => {
      const { from, to, community } = call.query;
      if (from !== undefined && to !== undefined && from > to) {
        const detail = { zh: `from(${from})晚于 to(${to})`, en: `from (${from}) is after to (${to})` };
        throw new HttpProblem(400, 'invalid-period', detail, {
          errors: [{ code: 'invalid-period', detail, pointer: '/from', value: from, allowed: [`<= ${to}`] }],
        });
      }
      const at = await asOfPosition(call as Call, call.query);
      const body = await call.engine.readModels.organisationShares({ from, to, community, asOfPosition: at });
      return { status: 200, body };
    },
  }),
];
