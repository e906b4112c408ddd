import pino, {
  type Bindings,
  type ChildLoggerOptions,
  type DestinationStream,
  type LevelWithSilent,
  type LogFn,
  type Logger,
} from 'pino';
import { PlatformError } from './platform-error';

export type { Logger } from 'pino';
export const LOG_LEVELS = [
  'trace',
  'debug',
  'info',
  'warn',
  'error',
  'fatal',
  'silent',
] as const satisfies readonly LevelWithSilent[];
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Fields that may be logged as they are; any other is replaced. A record's content is never among them. */
const SAFE = new Set([
  'address', 'attempt', 'batch', 'bytes', 'code', 'component', 'correlationId', 'count', 'durationMs', 'err', 'events', 'feed', 'file',
  'host', 'lag', 'mapping', 'method', 'ms', 'name', 'offset', 'partition', 'pid', 'port', 'position', 'projection', 'reason', 'requestId',
  'role', 'roles', 'route', 'rows', 'signal', 'state', 'status', 'statusCode', 'store', 'topic', 'version',
]); // prettier-ignore
const REDACTED = '[redacted]';
const MAX_TEXT = 500;

const safeValue = (value: unknown): unknown => {
  if (typeof value === 'string') return value.length > MAX_TEXT ? `${value.slice(0, MAX_TEXT)}…` : value;
  if (Array.isArray(value)) return value.every((item) => typeof item !== 'object') ? value.slice(0, 50).map(safeValue) : REDACTED;
  if (value instanceof Error) return safeError(value);
  if (typeof value === 'bigint') return value.toString();
  return typeof value === 'object' && value !== null ? REDACTED : value;
};

/** Messages of PostgreSQL and of validators quote values; ours and the operating system's don't. The stack is kept without the message. */
const safeError = (error: Error): object => {
  const { code, constraint_name: constraint } = error as { code?: unknown; constraint_name?: unknown };
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  const speaks = error instanceof PlatformError || typeof (error as NodeJS.ErrnoException).syscall === 'string';
  return {
    type: error.name,
    ...(speaks && { message: error.message }),
    ...(code !== undefined && { code }),
    ...(constraint !== undefined && { constraint }),
    stack: frames.join('\n'),
    ...(error.cause instanceof Error && { cause: safeError(error.cause) }),
  };
};

const allowList = (fields: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, SAFE.has(key) ? safeValue(value) : REDACTED]));

export interface LoggerOptions {
  /** Default: `info` for serve, `warn` for the other commands. */
  readonly level?: LogLevel | undefined;
  readonly program: 'serve' | 'cli';
  /** Default: standard error, written at once (stdout belongs to answers). */
  readonly destination?: DestinationStream;
}

/** JSON lines on stderr. The message must be a constant of the program; what varies goes into fields, where the allow-list sees it. */
export const createLogger = ({ level, program, destination }: LoggerOptions): Logger => {
  const logger = pino(
    {
      level: level ?? (program === 'serve' ? 'info' : 'warn'),
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      serializers: { err: (value: unknown) => value },
      formatters: { level: (label) => ({ level: label }), log: allowList },
      hooks: { logMethod: withOwnMessage },
    },
    destination ?? pino.destination({ fd: 2, sync: true }),
  );
  // pino's formatters pass over the bindings of children (NestJS and Fastify make many); children inherit this method.
  const { child } = logger;
  const safeChild = function (this: Logger, bindings: Bindings, options?: ChildLoggerOptions) {
    return Reflect.apply(child, this, [allowList(bindings), options]) as Logger;
  };
  return Object.assign(logger, { child: safeChild });
};

/** Given an error without words, pino takes the error's message for the line's, past every redaction. */
const withOwnMessage = function (this: Logger, [first, ...rest]: Parameters<LogFn>, method: LogFn): void {
  const fields: unknown = (first as unknown) instanceof Error ? { err: first } : first;
  const wordless = rest.length === 0 && typeof fields === 'object' && fields !== null && 'err' in fields;
  const words = wordless ? ['fault'] : rest;
  Reflect.apply(method, this, [fields, ...words]);
};
