import { Catch, HttpException, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { UnreadableEvent } from '@vigil/domain';
import { LogOverloaded, LogUnavailable, NotOffered } from '@vigil/event-log';
import { PlatformError, type Logger } from '@vigil/platform';
import type { Text } from '@vigil/vocabulary';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { HttpProblem, unavailable } from './problem';
import { contextOf, sendProblem } from './reply';

const DATABASE_GONE = /^(CONNECTION_|CONNECT_|ECONN|EPIPE|ENOTFOUND|57P0|08|53|57014)/;

const BY_STATUS: Readonly<Record<number, readonly [code: string, detail: Text]>> = {
  400: ['malformed-request', { zh: '请求无法解析', en: 'the request cannot be read' }],
  413: [
    'body-too-large',
    {
      zh: '请求体超过上限(JSON 为 16 MiB);更多数据请用 NDJSON 或 /imports',
      en: 'the body is over the limit (16 MiB of JSON); send more as NDJSON, or through /imports',
    },
  ],
  414: ['uri-too-long', { zh: '网址过长', en: 'the URI is too long' }],
  415: ['unsupported-media-type', { zh: '不支持该 Content-Type', en: 'this Content-Type is not taken' }],
};

/** Any error as the problem its caller is told; what isn't known here is ours, and says nothing of itself. */
export const problemFrom = (error: unknown): HttpProblem => {
  if (error instanceof HttpProblem) return error;
  if (error instanceof LogOverloaded)
    return unavailable(
      'overloaded',
      {
        zh: '写入请求过多,本次未写入;请稍后重试',
        en: 'too many writes are waiting; this one was not tried, send it again later',
      },
      1,
      error,
    );
  if (error instanceof LogUnavailable)
    return unavailable(
      'log-unavailable',
      {
        zh: '事件库暂不可用,本次是否写入尚不确定;请用同一 Idempotency-Key 重试',
        en: 'the log cannot be reached and it is not known whether this was written; try again with the same Idempotency-Key',
      },
      2,
      error,
    );
  if (error instanceof UnreadableEvent)
    return unavailable(
      'newer-event',
      {
        zh: '该对象含有较新版本程序写入的事件,本版本读不懂,故不显示也不更改;请升级本程序',
        en: 'a newer version of the program wrote to this record; this one cannot read it, so it neither shows nor changes it: upgrade this program',
      },
      60,
      error,
    );
  if (error instanceof NotOffered)
    return new HttpProblem(
      422,
      'not-offered',
      {
        zh: '所用事件库不支持跨多个对象的原子写入,本次未写入;请去掉 atomic,逐个对象提交',
        en: 'this event store has no transaction over several records; nothing was written: send them without atomic',
      },
      { cause: error },
    );
  if (error instanceof PlatformError && error.code === 'deadline-exceeded')
    return unavailable('deadline-exceeded', { zh: '处理超时;请稍后重试', en: 'it took too long; try again later' }, 2, error);
  const { code, statusCode } = (error ?? {}) as { code?: unknown; statusCode?: unknown };
  if (code === 'ENOSPC' || (error instanceof PlatformError && error.code === 'no-space'))
    return unavailable('no-space', { zh: '服务器磁盘空间不足', en: 'the server has no disk space left' }, 60, error);
  if (typeof code === 'string' && DATABASE_GONE.test(code))
    return unavailable(
      'database-unavailable',
      { zh: '数据库暂不可用;请稍后重试', en: 'the database cannot be reached; try again later' },
      2,
      error,
    );
  // Text that PostgreSQL can't hold and no schema caught.
  if (code === '22021' || code === '22P05')
    return new HttpProblem(422, 'invalid-text', {
      zh: '文本含有无法保存的字符',
      en: 'the text holds characters that cannot be kept',
    });
  const status = error instanceof HttpException ? error.getStatus() : typeof statusCode === 'number' ? statusCode : 500;
  if (status >= 400 && status < 500) {
    const [name, detail] = BY_STATUS[status] ?? BY_STATUS[400]!;
    return new HttpProblem(status, name, detail, { cause: error });
  }
  return new HttpProblem(
    500,
    'internal',
    {
      zh: '服务器内部错误;请将 traceId 告知管理员',
      en: 'something went wrong on our side; give the traceId to whoever runs this server',
    },
    { cause: error },
  );
};

/** The one place where an error becomes an answer. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(
    private readonly logger: Logger,
    private readonly notFound: (request: FastifyRequest) => HttpProblem,
  ) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    this.answer(error, http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>());
  }

  answer(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
    const problem = error instanceof HttpException && error.getStatus() === 404 ? this.notFound(request) : problemFrom(error);
    if (problem.status >= 500)
      this.logger[problem.status === 500 ? 'error' : 'warn'](
        {
          err: problem.cause ?? error,
          requestId: contextOf(request).traceId,
          method: request.method,
          route: request.routeOptions?.url,
          statusCode: problem.status,
          code: problem.code,
        },
        'request not served',
      );
    if (reply.sent || reply.raw.headersSent) return void reply.raw.destroy();
    sendProblem(reply, request, problem);
  }
}
