/** An answer as a JSON-stat 2.0 dataset (json-stat.org/full): a sparse cube of the dimensions asked for and one of figures, in pieces. */
import { ok, refuse, type Result, type Text } from '@vigil/vocabulary';
import type { ObservationAnswer, ObservationRow } from './answer';
import { columnsOf, inPieces, type Column } from './columns';
import { codeLabels, headingLabel } from './labels';

export interface JsonStatOptions {
  /** Of labels and notes; codes are the same in any. Default en. */
  readonly language?: keyof Text;
}

const METRIC = 'metric';

const STATUS: Readonly<Record<string, Text>> = {
  A: { zh: '正常', en: 'normal' },
  P: { zh: '暂定', en: 'provisional' },
  E: { zh: '估计', en: 'estimated' },
  U: { zh: '不可靠', en: 'unreliable' },
  M: { zh: '缺失', en: 'missing' },
};
const CONF: Readonly<Record<string, Text>> = {
  C: { zh: '已隐去', en: 'suppressed' },
  N: { zh: '不得发布', en: 'not for publication' },
};

const statusOf = ({ status, conf }: ObservationRow): string => (conf === 'F' ? status : `${status}/${conf}`);

const statusLabel = (code: string, language: keyof Text): string =>
  code
    .split('/')
    .map((part, i) => (i === 0 ? STATUS : CONF)[part]?.[language] ?? part)
    .join(', ');

interface Axis {
  readonly id: string;
  readonly codes: readonly string[];
  /** Place of a row's code among them. */
  readonly at: (row: ObservationRow) => number;
}

/** Codes in the order they first come. */
const axisOf = ({ heading, cell }: Column, data: readonly ObservationRow[]): Axis => {
  const code = (row: ObservationRow): string => String(cell(row) ?? '');
  const places = new Map<string, number>();
  for (const row of data) {
    const found = code(row);
    if (!places.has(found)) places.set(found, places.size);
  }
  return { id: heading, codes: [...places.keys()], at: (row) => places.get(code(row))! };
};

/** The only value of a column, when every row has it. */
const constant = ({ cell }: Column, data: readonly ObservationRow[]): string | number | null => {
  const [first] = data;
  const value = first ? cell(first) : null;
  return data.every((row) => cell(row) === value) ? value : null;
};

function* entries(of: Iterable<readonly [cell: number, value: string | number]>): Generator<string, void> {
  let mark = '';
  yield '{';
  for (const [cell, value] of of) {
    yield `${mark}"${cell}":${typeof value === 'number' ? value : JSON.stringify(value)}`;
    mark = ',';
  }
  yield '}';
}

/**
 * The last dimension, `metric`, has the figures of a row (`value`, `num`, `den`, `ciLow`, `ciHigh` …); a missing or hidden one is
 * absent from `value`. `status` has an entry for every row, at the cell of its `value`: OBS_STATUS, and CONF_STATUS after a slash
 * unless it is F. What else a row says stands in `extension.attributes`, keyed like `status`, or once when all rows say the same;
 * `extension.meta` is the answer's `meta`.
 * Refused, with `cube-too-large`, when the cells can't be counted in a double.
 */
export const toJsonStat = (
  answer: ObservationAnswer,
  { language = 'en' }: JsonStatOptions = {},
): Result<Generator<string, void>> => {
  const { data } = answer;
  const columns = columnsOf(answer);
  const axes = columns.filter(({ role }) => role === 'dimension').map((column) => axisOf(column, data));
  const figures = columns.filter(({ role }) => role === 'measure');
  const cells = axes.reduce((product, { codes }) => product * codes.length, figures.length);
  if (!Number.isSafeInteger(cells))
    return refuse({
      code: 'cube-too-large',
      detail: {
        zh: '这些维度张成的立方体单元格过多,JSON-stat 无法编号;请少取维度或条目,或改用其他格式',
        en: 'the cube of these dimensions has more cells than JSON-stat can number: ask for fewer dimensions or items, or another format',
      },
    });
  return ok(inPieces(datasetText(answer, { columns, axes, figures, language })));
};

interface Cube {
  readonly columns: readonly Column[];
  readonly axes: readonly Axis[];
  readonly figures: readonly Column[];
  readonly language: keyof Text;
}

function* datasetText({ data, meta }: ObservationAnswer, { columns, axes, figures, language }: Cube): Generator<string, void> {
  /** Row-major: the last dimension moves fastest. */
  const cellOf = (row: ObservationRow): number =>
    axes.reduce((cell, { codes, at }) => cell * codes.length + at(row), 0) * figures.length;
  const attributes = columns.filter(({ role }) => role === 'attribute');
  const unit = attributes.find(({ heading }) => heading === 'unit');
  const onlyUnit = unit && constant(unit, data);
  const label = (heading: string): string => headingLabel(heading)?.[language] ?? heading;
  const head = {
    version: '2.0',
    class: 'dataset',
    label: meta.definitions.map(({ name }) => name[language]).join(language === 'zh' ? '、' : ', '),
    updated: meta.asOf,
    source: language === 'zh' ? '守安(Vigil)' : 'Vigil',
    ...(meta.problems.length > 0 && { note: meta.problems.map(({ detail }) => detail[language]) }),
    id: [...axes.map(({ id }) => id), METRIC],
    size: [...axes.map(({ codes }) => codes.length), figures.length],
    role: { time: ['pe'], geo: ['ou'], metric: [METRIC] },
    dimension: {
      ...Object.fromEntries(
        axes.map(({ id, codes }) => {
          const named = codeLabels(id, meta);
          const labels = Object.fromEntries(codes.map((code) => [code, named(code)?.[language] ?? code]));
          return [id, { label: label(id), category: { index: codes, label: labels } }];
        }),
      ),
      [METRIC]: {
        label: label(METRIC),
        category: {
          index: figures.map(({ heading }) => heading),
          label: Object.fromEntries(figures.map(({ heading }) => [heading, label(heading)])),
          ...(onlyUnit && { unit: { value: { label: onlyUnit } } }),
        },
      },
    },
  };
  yield JSON.stringify(head).slice(0, -1);
  const codes = [...new Set(data.map(statusOf))];
  const status = { label: Object.fromEntries(codes.map((code) => [code, statusLabel(code, language)])) };
  yield `,"extension":{"meta":${JSON.stringify(meta)},"status":${JSON.stringify(status)},"attributes":{`;
  for (const [i, column] of attributes.entries()) {
    yield `${i > 0 ? ',' : ''}${JSON.stringify(column.heading)}:`;
    const only = constant(column, data);
    if (only !== null) yield JSON.stringify(only);
    else yield* entries(present(data, (row) => [[cellOf(row), column.cell(row)]]));
  }
  yield '}},"value":';
  yield* entries(present(data, (row) => figures.map(({ cell }, i) => [cellOf(row) + i, cell(row)])));
  yield ',"status":';
  yield* entries(present(data, (row) => [[cellOf(row), statusOf(row)]]));
  yield '}\n';
}

function* present(
  data: readonly ObservationRow[],
  of: (row: ObservationRow) => readonly (readonly [cell: number, value: string | number | null])[],
): Generator<readonly [number, string | number], void> {
  for (const row of data) for (const [cell, value] of of(row)) if (value !== null) yield [cell, value];
}
