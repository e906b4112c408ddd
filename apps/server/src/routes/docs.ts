import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { notFound } from '../http/validate';
import { openApiText } from '../openapi';
import { route, type Answer, type Route } from '../route';

const tag = 'docs';

/** The files of the page, served from the package as they are: no CDN, nothing inline. */
const FILES: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'favicon-32x32.png': 'image/png',
};
// swagger-ui sets style attributes through the DOM, which 'self' allows; its icons are data: images.
const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Vigil 守安 API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" type="image/png" href="/docs/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
`;
const START = `SwaggerUIBundle({ url: '/api/openapi.json', dom_id: '#swagger-ui', deepLinking: true, validatorUrl: null, docExpansion: 'none' });\n`;

let folder: string | undefined;
const file = async (name: string): Promise<Answer> => {
  const type = Object.hasOwn(FILES, name) ? FILES[name] : undefined;
  if (!type) throw notFound({ zh: `没有文件 ${name}`, en: `there is no file ${name}` });
  folder ??= join(require.resolve('swagger-ui-dist/package.json'), '..');
  const content = await readFile(join(folder, name));
  return { status: 200, content, type, headers: { 'Cache-Control': 'public, max-age=86400' } };
};

const html = async (): Promise<Answer> => ({
  status: 200,
  text: PAGE,
  type: 'text/html; charset=utf-8',
  headers: { 'Content-Security-Policy': CSP },
});
const page200 = { 200: { type: 'text/html', about: { zh: '页面', en: 'the page' } } };

export const docsRoutes = (routes: () => readonly Route[]): readonly Route[] => [
  route({
    method: 'GET',
    path: '/api/openapi.json',
    bare: true,
    tag,
    summary: { zh: '本接口的 OpenAPI 3.1 描述', en: 'This API as OpenAPI 3.1' },
    answers: {
      200: {
        schema: z.looseObject({ openapi: z.string() }),
        about: { zh: '由同一份 zod 模式生成', en: 'made from the same zod schemas' },
      },
    },
    handler: async () => ({ status: 200, text: openApiText(routes()), type: 'application/json; charset=utf-8' }),
  }),
  route({
    method: 'GET',
    path: '/docs',
    bare: true,
    tag,
    summary: { zh: '接口文档页面', en: 'The page of this API' },
    answers: page200,
    handler: html,
  }),
  route({
    method: 'GET',
    path: '/docs/{file}',
    bare: true,
    tag,
    summary: { zh: '文档页面的文件', en: 'Files of that page' },
    params: z.object({ file: z.string().max(64) }),
    answers: { 200: { type: '*/*', about: { zh: '文件', en: 'the file' } } },
    handler: ({ params }) =>
      params.file === 'start.js'
        ? Promise.resolve({ status: 200, text: START, type: 'text/javascript; charset=utf-8' })
        : params.file === 'index.html'
          ? html()
          : file(params.file),
  }),
];
