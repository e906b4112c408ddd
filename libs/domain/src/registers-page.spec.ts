import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { caseFiles } from './aggregates';
import { diagramOf, NONE, SAME } from './case-file';

/** docs/reference/registers.md, from the registers themselves. */
const page = (): string =>
  [
    '# Registers: commands, events and states',
    '',
    'Drawn from `libs/domain/src/*`; a test fails when this page and the code differ. Write it anew with',
    '`UPDATE_DOCS=1 npx jest registers-page`.',
    '',
    'Every register has, under `/api/v1`: `GET /<register>` (filters `state`, `community`, `kind`, `from`, `to`, `asOf`, `asOfPosition`),',
    '`GET /<register>/board` (counts), `GET /<register>/{id}` and `GET /<register>/{id}/timeline`. Commands to an existing file ask for',
    '`If-Match` unless marked ∗. A command that the state does not allow answers 409 `not-allowed-now` and names those that it does.',
    'Alerts are listed at `GET /alerts/raised`; `GET /alerts` looks for them now, see [alerts](../explanation/alerts.md).',
    'The list of indicators holds those shipped too, and is filtered by `asOf` and `asOfPosition` only; see',
    '[how to define one](../how-to/define-an-indicator.md).',
    '`community` finds a file that lies there, alone or with others (an intervention by its units, a survey, a cycle); the board counts one',
    'of several under `community: null`. `GET /organisations/shares` (`from`, `to`, `community`, `asOf`, `asOfPosition`) says who shares',
    'data and takes part.',
    '',
    'A field that names another file (below: names) is taken whether that file is there or not, since it may come by another feed. When it',
    'is nowhere, the 201 says so: `warnings: [{code: "unknown-reference", detail, pointer, value}]`, the first twenty.',
    ...caseFiles.flatMap((file) => [
      '',
      `## ${file.title.zh} · ${file.title.en} (\`/${file.plural}\`)`,
      '',
      '| command | events | allowed in | |',
      '|---|---|---|---|',
      ...Object.values(file.steps).map(
        ({ path, from, leads, summary, unguarded, internal }) =>
          `| ${internal ? '(the program itself)' : `\`POST /${file.plural}${path === undefined ? '' : `/{id}/${path}`}\``}${unguarded ? ' ∗' : ''} | ${Object.entries(
            leads,
          )
            .map(([event, to]) => (to === SAME ? event : `${event} → \`${to}\``))
            .join(
              '<br>',
            )} | ${from.map((state) => (state === NONE ? '(new)' : `\`${state}\``)).join(', ')} | ${summary.zh} · ${summary.en} |`,
      ),
      '',
      ...(file.references
        ? [
            `Names: ${Object.entries(file.references)
              .map(([field, register]) => `\`${field}\` (${register})`)
              .join(', ')}`,
            '',
          ]
        : []),
      '```mermaid',
      diagramOf(file),
      '```',
    ]),
    '',
  ].join('\n');

it('docs/reference/registers.md shows the registers as they are', () => {
  const path = join(__dirname, '../../../docs/reference/registers.md');
  if (process.env['UPDATE_DOCS']) writeFileSync(path, page());
  // The formatter pads tables; the words are compared.
  const words = (text: string): string =>
    text
      .replace(/[ \t]*\|[ \t]*/g, '|')
      .replace(/-{3,}/g, '---')
      .replace(/\\_/g, '_')
      .trim();
  expect(words(readFileSync(path, 'utf8'))).toBe(words(page()));
});
