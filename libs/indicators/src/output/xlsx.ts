/**
 * An answer as a workbook (ECMA-376) of two sheets: the rows, and where they come from. It is written as it is made: libraries that
 * build the sheet first took 770 MB for 200,000 rows, more than the whole engine may.
 */
import type { Text } from '@vigil/vocabulary';
import type { ObservationAnswer, ObservationMeta } from './answer';
import { columnsOf, inPieces, type Cell, type Column } from './columns';
import { headingLabel } from './labels';
import { zipped } from './zip';

export interface XlsxOptions {
  /** Of the sheets' names; column headings stay those of CSV. Default en. */
  readonly language?: keyof Text;
}

const HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n';
const MAIN = 'http://schemas.openxmlformats.org/spreadsheetml/2006/main';
const RELATIONS = 'http://schemas.openxmlformats.org/officeDocument/2006/relationships';
const PACKAGE = 'http://schemas.openxmlformats.org/package/2006';

/** What a cell holds at most; Excel calls a file with more damaged. */
const MOST_CHARACTERS = 32_767;

/** Cell formats of `styles`: a heading; text that stays text even when someone edits the cell. */
const BOLD = 1;
const QUOTED = 2;

const UNWRITABLE = '\\u0000-\\u0008\\u000b-\\u001f\\ufffe\\uffff';
/** What XML can't hold goes as `_x000D_` (ST_Xstring), so a text that looks like that is escaped itself, also where an escape would close it. */
const ESCAPED = new RegExp(`_(?=x[0-9A-Fa-f]{4}[_${UNWRITABLE}])|[${UNWRITABLE}]`, 'g');
const escaped = (found: string): string => `_x${found.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}_`;

const xmlText = (text: string): string =>
  text.replace(ESCAPED, escaped).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
const xmlAttribute = (text: string): string => xmlText(text).replaceAll('"', '&quot;');

/** Texts are kept once and named by number; most repeat in every row. */
const sharedTexts = () => {
  const numbers = new Map<string, number>();
  return {
    of: (text: string): number => {
      const known = numbers.get(text);
      if (known !== undefined) return known;
      numbers.set(text, numbers.size);
      return numbers.size - 1;
    },
    *xml(): Generator<string, void> {
      yield `${HEAD}<sst xmlns="${MAIN}">`;
      for (const text of numbers.keys()) yield `<si><t xml:space="preserve">${xmlText(text)}</t></si>`;
      yield '</sst>';
    },
  };
};
type SharedTexts = ReturnType<typeof sharedTexts>;

/** 0 is A, 26 is AA. */
const columnName = (index: number): string =>
  index < 26 ? String.fromCharCode(65 + index) : columnName(Math.floor(index / 26) - 1) + String.fromCharCode(65 + (index % 26));

const cellXml = (reference: string, cell: Cell, texts: SharedTexts, style?: number): string => {
  if (cell === null) return '';
  if (typeof cell === 'number') return `<c r="${reference}"><v>${cell}</v></c>`;
  // A text cell is no formula whatever it begins with, until someone edits it: the quote keeps it text then too.
  const format = style ?? (/^[=+\-@\t\r]/.test(cell) ? QUOTED : undefined);
  return `<c r="${reference}"${format === undefined ? '' : ` s="${format}"`} t="s"><v>${texts.of(cell)}</v></c>`;
};

interface Sheet {
  readonly name: string;
  readonly head: readonly string[];
  readonly rows: () => Iterable<readonly Cell[]>;
  readonly count: number;
  /** In characters. */
  readonly widths: readonly number[];
}

function* sheetXml({ head, rows, count, widths }: Sheet, texts: SharedTexts): Generator<string, void> {
  const names = head.map((_, i) => columnName(i));
  const all = `A1:${names.at(-1)}${count + 1}`;
  yield `${HEAD}<worksheet xmlns="${MAIN}"><dimension ref="${all}"/><sheetViews><sheetView workbookViewId="0">`;
  yield '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews><cols>';
  for (const [i, width] of widths.entries()) yield `<col min="${i + 1}" max="${i + 1}" width="${width}" customWidth="1"/>`;
  yield '</cols><sheetData>';
  yield `<row r="1">${head.map((text, i) => cellXml(`${names[i]}1`, text, texts, BOLD)).join('')}</row>`;
  let at = 1;
  for (const row of rows()) {
    at += 1;
    yield `<row r="${at}">${row.map((cell, i) => cellXml(`${names[i]}${at}`, cell, texts)).join('')}</row>`;
  }
  yield `</sheetData><autoFilter ref="${all}"/></worksheet>`;
}

const rowsSheet = (answer: ObservationAnswer, columns: readonly Column[], language: keyof Text): Sheet => ({
  name: { zh: '数据', en: 'observations' }[language],
  head: columns.map(({ heading }) => heading),
  *rows() {
    for (const row of answer.data) yield columns.map(({ cell }) => cell(row));
  },
  count: answer.data.length,
  widths: columns.map(({ heading, type }) => Math.max(heading.length + 3, type === 'number' ? 14 : 10)),
});

const plain = (value: unknown): string | number | null => {
  if (value === null || value === undefined) return null;
  return typeof value === 'string' || typeof value === 'number' ? value : JSON.stringify(value);
};

type ProvenanceRow = readonly [field: string, value: Cell, zh: string | null, en: string | null];

/** A value longer than a cell holds goes on in the rows below. */
const inCells = ([field, value, zh, en]: ProvenanceRow): ProvenanceRow[] => {
  if (typeof value !== 'string' || value.length <= MOST_CHARACTERS) return [[field, value, zh, en]];
  const rows: ProvenanceRow[] = [];
  for (let at = 0; at < value.length; at += MOST_CHARACTERS)
    rows.push([field, value.slice(at, at + MOST_CHARACTERS), at === 0 ? zh : null, at === 0 ? en : null]);
  return rows;
};

/** A field a row: its name, what it holds, and what that means (or the sentence of a problem) in both languages. */
const provenanceRows = (meta: ObservationMeta, columns: readonly Column[]): readonly ProvenanceRow[] => {
  const { definitions, problems, ...fields } = meta;
  const labelled = (name: string, field: string, value: Cell): ProvenanceRow => {
    const label = headingLabel(name);
    return [field, value, label?.zh ?? null, label?.en ?? null];
  };
  const rest = (of: object): Cell => (Object.keys(of).length > 0 ? JSON.stringify(of) : null);
  return [
    ...Object.entries(fields).map(([name, value]) => labelled(name, name, plain(value))),
    ...definitions.map(({ code, name, ...more }): ProvenanceRow => [`definition ${code}`, rest(more), name.zh, name.en]),
    ...problems.map(({ code, detail, ...more }): ProvenanceRow => [`problem ${code}`, rest(more), detail.zh, detail.en]),
    ...columns.map(({ heading }) => labelled(heading, `column ${heading}`, null)),
  ].flatMap(inCells);
};

const provenanceSheet = (meta: ObservationMeta, columns: readonly Column[], language: keyof Text): Sheet => {
  const rows = provenanceRows(meta, columns);
  return {
    name: { zh: '出处', en: 'provenance' }[language],
    head: ['field', 'value', '中文', 'English'],
    rows: () => rows,
    count: rows.length,
    widths: [28, 60, 50, 60],
  };
};

const TYPE = 'application/vnd.openxmlformats-officedocument.spreadsheetml';
const contentTypes = (sheets: readonly Sheet[]): string =>
  [
    `${HEAD}<Types xmlns="${PACKAGE}/content-types">`,
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>',
    '<Default Extension="xml" ContentType="application/xml"/>',
    `<Override PartName="/xl/workbook.xml" ContentType="${TYPE}.sheet.main+xml"/>`,
    `<Override PartName="/xl/styles.xml" ContentType="${TYPE}.styles+xml"/>`,
    `<Override PartName="/xl/sharedStrings.xml" ContentType="${TYPE}.sharedStrings+xml"/>`,
    ...sheets.map((_, i) => `<Override PartName="/xl/worksheets/sheet${i + 1}.xml" ContentType="${TYPE}.worksheet+xml"/>`),
    '</Types>',
  ].join('');

const relations = (of: readonly (readonly [type: string, target: string])[]): string =>
  [
    `${HEAD}<Relationships xmlns="${PACKAGE}/relationships">`,
    ...of.map(([type, target], i) => `<Relationship Id="rId${i + 1}" Type="${RELATIONS}/${type}" Target="${target}"/>`),
    '</Relationships>',
  ].join('');

const workbook = (sheets: readonly Sheet[]): string =>
  [
    `${HEAD}<workbook xmlns="${MAIN}" xmlns:r="${RELATIONS}"><sheets>`,
    ...sheets.map(({ name }, i) => `<sheet name="${xmlAttribute(name)}" sheetId="${i + 1}" r:id="rId${i + 1}"/>`),
    '</sheets><definedNames>',
    ...sheets.map(
      ({ name, head, count }, i) =>
        // Excel finds its filter again by this name.
        `<definedName name="_xlnm._FilterDatabase" localSheetId="${i}" hidden="1">'${xmlText(name)}'!$A$1:$${columnName(head.length - 1)}$${count + 1}</definedName>`,
    ),
    '</definedNames></workbook>',
  ].join('');

const STYLES = [
  `${HEAD}<styleSheet xmlns="${MAIN}"><fonts count="2">`,
  '<font><sz val="11"/><name val="Calibri"/></font><font><b/><sz val="11"/><name val="Calibri"/></font></fonts>',
  '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills>',
  '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>',
  '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs><cellXfs count="3">',
  '<xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>',
  '<xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/>',
  '<xf numFmtId="49" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1" quotePrefix="1"/>',
  '</cellXfs><cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>',
].join('');

/**
 * Headings and rows as CSV has them on the first sheet, with numbers as numbers and a missing one as an empty cell, the heading
 * frozen and filters on; `meta` with problems in both languages and what the columns mean on the second.
 */
export const toXlsx = (answer: ObservationAnswer, { language = 'en' }: XlsxOptions = {}): AsyncGenerator<Buffer, void> => {
  const columns = columnsOf(answer);
  const sheets = [rowsSheet(answer, columns, language), provenanceSheet(answer.meta, columns, language)];
  const texts = sharedTexts();
  const part = (name: string, content: string) => ({ name, content: () => [content] });
  return zipped([
    part('[Content_Types].xml', contentTypes(sheets)),
    part('_rels/.rels', relations([['officeDocument', 'xl/workbook.xml']])),
    part('xl/workbook.xml', workbook(sheets)),
    part(
      'xl/_rels/workbook.xml.rels',
      relations([
        ...sheets.map((_, i) => ['worksheet', `worksheets/sheet${i + 1}.xml`] as const),
        ['styles', 'styles.xml'],
        ['sharedStrings', 'sharedStrings.xml'],
      ]),
    ),
    part('xl/styles.xml', STYLES),
    ...sheets.map((sheet, i) => ({
      name: `xl/worksheets/sheet${i + 1}.xml`,
      content: () => inPieces(sheetXml(sheet, texts)),
    })),
    // Last: only now are all texts known.
    { name: 'xl/sharedStrings.xml', content: () => inPieces(texts.xml()) },
  ]);
};
