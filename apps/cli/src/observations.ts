import { say } from './language';
import { table } from './terminal';

/** A row of /observations: api.md, "Queries". Dimensions other than dx, pe and ou are further fields. */
export interface Observation {
  readonly dx: string;
  readonly pe: string;
  readonly ou?: string;
  readonly value: number | null;
  readonly unit?: string;
  readonly num?: number | null;
  readonly den?: number | null;
  readonly n?: number;
  readonly ci?: {
    readonly level: number;
    readonly low: number | null;
    readonly high: number | null;
    readonly method?: string;
  } | null;
  readonly status?: string;
  readonly conf?: string;
  readonly reason?: string;
  readonly [dimension: string]: unknown;
}

export interface Answer {
  readonly data: readonly Observation[];
  readonly meta: {
    readonly asOf?: string;
    readonly position?: string | number;
    readonly lagSeconds?: number;
    readonly standard?: string;
    readonly problems?: readonly unknown[];
    /** The columns between `ou` and `value`. */
    readonly dimensions?: readonly string[];
    readonly [field: string]: unknown;
  };
}

const OWN = new Set([
  ...['dx', 'pe', 'ou', 'value', 'unit', 'num', 'den', 'n', 'ci', 'status', 'conf', 'reason', 'deff', 'nEff'],
  ...['ref', 'ratio', 'ratioLow', 'ratioHigh', 'ratioMethod', 'verdict', 'validFrom', 'validFromPosition', 'validTo'],
]);

const VERDICTS: Readonly<Record<string, readonly [string, string]>> = {
  higher: ['偏高', 'higher'],
  lower: ['偏低', 'lower'],
  similar: ['相近', 'similar'],
};
/** What one row says beside another, and since when it stood: columns that only some answers have. */
const besides = (data: readonly Observation[]): { readonly head: string; readonly cell: (row: Observation) => string }[] => [
  ...(data.some((row) => row['validFrom'] !== undefined)
    ? [{ head: say('自', 'stood from'), cell: (row: Observation) => plain(row['validFrom']) }]
    : []),
  ...(data.some((row) => row['ref'] !== undefined)
    ? [
        { head: say('对照值', 'beside'), cell: (row: Observation) => figure(row['ref']) },
        {
          head: say('比值', 'ratio'),
          cell: (row: Observation) =>
            row['ratio'] == null
              ? ''
              : `${figure(row['ratio'])} (${interval({ level: 0, low: row['ratioLow'] as number | null, high: row['ratioHigh'] as number | null })})`,
        },
        {
          head: say('判断', 'verdict'),
          cell: (row: Observation) => {
            const [zh, en] = VERDICTS[plain(row['verdict'])] ?? ['', ''];
            return say(zh, en);
          },
        },
      ]
    : []),
];

/** 1,234.5 with as many decimals as the size deserves; `–` for nothing. */
export const figure = (value: unknown): string => {
  if (typeof value !== 'number' || !Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  const decimals = Number.isInteger(value) ? 0 : size >= 1000 ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : 4;
  const [whole = '', fraction] = value.toFixed(decimals).split('.');
  return whole.replaceAll(/\B(?=(\d{3})+$)/g, ',') + (fraction ? `.${fraction}` : '');
};

export const interval = (ci: Observation['ci']): string =>
  ci ? `${figure(ci.low)} – ${ci.high === null ? '∞' : figure(ci.high)}` : '';

const plain = (value: unknown): string =>
  value === null || value === undefined ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value);

/** Head and rows of the table of an answer: the dimensions it has, then the rate with its interval, counts and status. */
export const observationRows = ({ data, meta }: Answer): { head: string[]; rows: string[][]; right: number[] } => {
  const dimensions = (meta.dimensions ?? [...new Set(data.flatMap((row) => Object.keys(row)))]).filter((key) => !OWN.has(key));
  const lead = ['dx', 'pe', ...(data.some((row) => row.ou !== undefined) ? ['ou'] : []), ...dimensions];
  const level = data.find((row) => row.ci)?.ci?.level;
  const percent = level === undefined ? '' : `${level <= 1 ? level * 100 : level} % `;
  const more = besides(data);
  const head = [
    ...lead,
    say('值', 'value'),
    `${percent}${say('区间', 'interval')}`,
    say('分子', 'num'),
    say('分母', 'den'),
    ...more.map((column) => column.head),
    say('单位', 'unit'),
    say('状态', 'status'),
    say('说明', 'reason'),
  ];
  const rows = data.map((row) => [
    ...lead.map((key) => plain(row[key])),
    figure(row.value),
    interval(row.ci),
    figure(row.num),
    figure(row.den),
    ...more.map(({ cell }) => cell(row)),
    plain(row.unit),
    [row.status, row.conf && row.conf !== 'F' ? row.conf : ''].filter(Boolean).join('/'),
    plain(row.reason),
  ]);
  // An empty last column is noise.
  const bare = rows.every((row) => row.at(-1) === '');
  return {
    head: bare ? head.slice(0, -1) : head,
    rows: bare ? rows.map((row) => row.slice(0, -1)) : rows,
    right: [0, 1, 2, 3].map((i) => lead.length + i),
  };
};

export const observationTable = (answer: Answer): Promise<string> => {
  const { head, rows, right } = observationRows(answer);
  return table(head, rows, right);
};

/** A person's query string as it goes on the wire: a pasted URL or `?` in front is cut, and `+` (75+, +08:00) is meant as a plus. */
export const wireQuery = (text: string): string => {
  const trimmed = text.trim();
  const mark = trimmed.indexOf('?');
  const query = mark >= 0 && (mark === 0 || /^(https?:)?\/|observations/.test(trimmed)) ? trimmed.slice(mark + 1) : trimmed;
  return query
    .replace(/#.*$/, '')
    .replaceAll('+', '%2B')
    .replaceAll(/\s*&\s*/g, '&')
    .replaceAll(' ', '%20');
};
