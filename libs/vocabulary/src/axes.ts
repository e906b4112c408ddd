/**
 * The canonical axes: the engine's own words, which every code system is mapped to and every answer speaks.
 * mechanism, intent, place and sex are fixed by the API contract; the others follow the NISS card and ICECI.
 * Every axis ends in `unknown`. `unmapped` (a source code no map knows) is a member of no axis, yet valid in answers.
 */
import type { Label } from './refusal';

export type AxisName =
  | 'mechanism'
  | 'intent'
  | 'place'
  | 'activity'
  | 'nature'
  | 'bodyPart'
  | 'severity'
  | 'disposition'
  | 'sex'
  | 'residency';

export type AxisCode = { readonly code: string } & Label;
export type Axis = { readonly name: AxisName; readonly label: Label; readonly codes: readonly AxisCode[] };

/** The value was absent, or its source said that nobody knows. */
export const UNKNOWN = 'unknown';
/** The value is there, but no map knows its system, version or code. */
export const UNMAPPED = 'unmapped';

const axis = (name: AxisName, zh: string, en: string, codes: Record<string, readonly [zh: string, en: string]>): Axis => ({
  name,
  label: { zh, en },
  codes: Object.entries(codes).map(([code, [z, e]]) => ({ code, zh: z, en: e })),
});

const unknown = ['不清楚', 'unknown'] as const;
const other = ['其他', 'other'] as const;

export const AXES: Readonly<Record<AxisName, Axis>> = {
  mechanism: axis('mechanism', '伤害原因', 'mechanism', {
    'road-transport': ['道路交通', 'road transport'],
    fall: ['跌倒/坠落', 'fall'],
    struck: ['钝器伤/碰撞', 'struck by or against'],
    sharp: ['刀/锐器伤', 'sharp object'],
    firearm: ['火器伤', 'firearm'],
    burn: ['烧烫伤', 'burn or scald'],
    suffocation: ['窒息/悬吊', 'suffocation or hanging'],
    drowning: ['溺水', 'drowning'],
    poisoning: ['中毒', 'poisoning'],
    animal: ['动物伤', 'animal'],
    'sexual-assault': ['性侵犯', 'sexual assault'],
    other,
    unknown,
  }),
  intent: axis('intent', '伤害意图', 'intent', {
    unintentional: ['非故意', 'unintentional'],
    'self-harm': ['自残/自杀', 'self-harm'],
    assault: ['故意(暴力、攻击)', 'assault'],
    legal: ['依法执行公务或战争行动', 'legal intervention or war'],
    unknown,
  }),
  place: axis('place', '伤害发生地点', 'place of occurrence', {
    home: ['家中', 'home'],
    residential: ['公共居住场所', 'residential institution'],
    'school-public': ['学校与公共场所', 'school or public place'],
    sport: ['体育和运动场所', 'sports area'],
    street: ['公路/街道', 'street or highway'],
    trade: ['贸易和服务场所', 'trade or service area'],
    industrial: ['工业和建筑场所', 'industrial or construction area'],
    farm: ['农场/农田', 'farm'],
    other,
    unknown,
  }),
  activity: axis('activity', '伤害发生时活动', 'activity', {
    work: ['工作', 'paid work'],
    housework: ['家务', 'unpaid housework'],
    study: ['学习', 'study'],
    sport: ['体育活动', 'sport'],
    leisure: ['休闲活动', 'leisure'],
    vital: ['生命活动', 'vital activity (eating, sleeping, washing)'],
    transport: ['驾乘交通工具', 'riding or driving'],
    walking: ['步行', 'walking'],
    other,
    unknown,
  }),
  nature: axis('nature', '伤害性质', 'nature of injury', {
    fracture: ['骨折', 'fracture'],
    dislocation: ['脱位', 'dislocation'],
    sprain: ['扭伤/拉伤', 'sprain or strain'],
    'open-wound': ['锐器伤、咬伤、开放伤', 'open wound or bite'],
    bruise: ['挫伤、擦伤', 'bruise or superficial injury'],
    crush: ['挤压伤', 'crush'],
    amputation: ['离断伤', 'amputation'],
    burn: ['烧烫伤', 'burn or scald'],
    'electric-shock': ['电击伤', 'electric shock'],
    concussion: ['脑震荡、脑挫裂伤', 'concussion or brain contusion'],
    'organ-system': ['器官系统损伤', 'internal organ injury'],
    nerve: ['神经损伤', 'nerve or spinal cord injury'],
    dental: ['牙齿损伤', 'dental injury'],
    'foreign-body': ['异物', 'foreign body'],
    poisoning: ['中毒', 'poisoning'],
    'drowning-asphyxia': ['溺水、窒息', 'drowning or asphyxia'],
    other,
    unknown,
  }),
  bodyPart: axis('bodyPart', '伤害部位', 'body part', {
    head: ['头部', 'head and face'],
    neck: ['颈部', 'neck'],
    'upper-limb': ['上肢', 'upper limb'],
    'lower-limb': ['下肢', 'lower limb'],
    trunk: ['躯干', 'trunk'],
    multiple: ['多部位', 'multiple parts'],
    systemic: ['全身广泛受伤', 'whole body'],
    respiratory: ['呼吸系统', 'respiratory system'],
    digestive: ['消化系统', 'digestive system'],
    genitourinary: ['泌尿生殖系统', 'genitourinary system'],
    nervous: ['神经系统', 'nervous system'],
    internal: ['内部器官(未分系统)', 'internal, system not stated'],
    other,
    unknown,
  }),
  // Each code carries its scale, so that a sum over two scales has to be asked for by name and never happens by accident.
  severity: axis('severity', '严重程度', 'severity', {
    'niss3-minor': ['轻度', 'NISS minor'],
    'niss3-moderate': ['中度', 'NISS moderate'],
    'niss3-severe': ['重度', 'NISS severe'],
    'ais-1': ['AIS 1 轻度', 'AIS 1 minor'],
    'ais-2': ['AIS 2 中度', 'AIS 2 moderate'],
    'ais-3': ['AIS 3 较重', 'AIS 3 serious'],
    'ais-4': ['AIS 4 严重', 'AIS 4 severe'],
    'ais-5': ['AIS 5 危重', 'AIS 5 critical'],
    'ais-6': ['AIS 6 极重(目前无法救治)', 'AIS 6 maximal'],
    'iss-1-8': ['ISS 1–8', 'ISS 1–8'],
    'iss-9-15': ['ISS 9–15', 'ISS 9–15'],
    'iss-16-24': ['ISS 16–24', 'ISS 16–24'],
    'iss-25-75': ['ISS 25–75', 'ISS 25–75'],
    'newiss-1-8': ['新ISS 1–8', 'New ISS 1–8'],
    'newiss-9-15': ['新ISS 9–15', 'New ISS 9–15'],
    'newiss-16-24': ['新ISS 16–24', 'New ISS 16–24'],
    'newiss-25-75': ['新ISS 25–75', 'New ISS 25–75'],
    'kabco-k': ['KABCO K 死亡', 'KABCO K fatal'],
    'kabco-a': ['KABCO A 疑似重伤', 'KABCO A suspected serious'],
    'kabco-b': ['KABCO B 疑似轻伤', 'KABCO B suspected minor'],
    'kabco-c': ['KABCO C 可能受伤', 'KABCO C possible'],
    'kabco-o': ['KABCO O 未受伤', 'KABCO O no apparent injury'],
    'ga16-fatal': ['GA 16 死亡', 'GA 16 fatal'],
    'ga16-severe': ['GA 16 重伤', 'GA 16 severe'],
    'ga16-minor': ['GA 16 轻伤', 'GA 16 minor'],
    'ga16-none': ['GA 16 未受伤', 'GA 16 uninjured'],
    'who-none': ['WHO 无明显损伤', 'WHO no apparent injury'],
    'who-minor': ['WHO 轻度', 'WHO minor'],
    'who-moderate': ['WHO 中度', 'WHO moderate'],
    'who-severe': ['WHO 重度', 'WHO severe'],
    'stats19-fatal': ['STATS19 死亡', 'STATS19 fatal'],
    'stats19-serious': ['STATS19 重伤', 'STATS19 serious'],
    'stats19-slight': ['STATS19 轻伤', 'STATS19 slight'],
    unknown,
  }),
  disposition: axis('disposition', '伤害结局', 'disposition', {
    released: ['处理后离院', 'treated and released'],
    observed: ['留观', 'held for observation'],
    transferred: ['转院', 'transferred'],
    admitted: ['住院', 'admitted'],
    died: ['死亡', 'died'],
    left: ['未诊治自行离院', 'left without being seen'],
    other,
    unknown,
  }),
  sex: axis('sex', '性别', 'sex', {
    F: ['女', 'female'],
    M: ['男', 'male'],
    X: ['其他性别', 'another sex'],
    unknown,
  }),
  residency: axis('residency', '居住类型', 'residency', {
    resident: ['户籍/常住', 'resident'],
    migrant: ['流动人口', 'migrant'],
    visitor: ['过境/访客', 'visitor'],
    unknown,
  }),
};

export const AXIS_NAMES = Object.keys(AXES) as readonly AxisName[];

const members = new Map(AXIS_NAMES.map((name) => [name, new Set(AXES[name].codes.map((c) => c.code))]));

export const isAxisName = (name: string): name is AxisName => Object.hasOwn(AXES, name);

/** Whether `code` is one of the axis's own codes (`unknown` is, `unmapped` isn't). */
export const isCanonical = (axis: AxisName, code: string): boolean => members.get(axis)!.has(code);
