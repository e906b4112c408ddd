import { Inject } from '@nestjs/common';
import { Command, CommandHandler, Query, QueryHandler, type ICommandHandler, type IQueryHandler } from '@nestjs/cqrs';
import { aggregates, caseFiles, type CommunityCommand, type FileCommand, type InjuryCommand } from '@vigil/domain';
import { handleCommand, type AggregateType, type CommandContext, type CommandDone } from '@vigil/event-log';
import { ok, type Result } from '@vigil/vocabulary';
import type { Engine } from './engine';
import { queries, type Queries } from './queries';

export const ENGINE = Symbol('engine');

/** An aggregate of its own kind, or a register of case files by its name. */
export type AggregateName = keyof typeof aggregates | (string & {});
interface CommandsOf {
  injury: InjuryCommand;
  community: CommunityCommand;
}
/** A command of an aggregate. */
export type Payload<A extends AggregateName = AggregateName> = A extends keyof CommandsOf ? CommandsOf[A] : FileCommand;

type Loose = AggregateType<unknown, { type: string; data: unknown }, unknown>;

/** Several commands to one aggregate as one: each decided on the state the ones before it lead to, all appended together or not at all. */
export const together = ({
  decider,
  ...rest
}: Loose): AggregateType<readonly unknown[], { type: string; data: unknown }, unknown> => ({
  ...rest,
  decider: {
    ...decider,
    decide: (commands, before) => {
      let state = before;
      const events: { type: string; data: unknown }[] = [];
      for (const command of commands) {
        const decision = decider.decide(command, state);
        if (!decision.ok) return decision;
        for (const event of decision.value) state = decider.evolve(state, event);
        events.push(...decision.value);
      }
      return ok(events);
    },
  },
});

const registry = Object.fromEntries(
  [...Object.entries(aggregates), ...caseFiles.map((file) => [file.name, file] as const)].map(([name, aggregate]) => [
    name,
    together(aggregate as never),
  ]),
) as unknown as Record<AggregateName, AggregateType<readonly unknown[], { type: string; data: unknown }, unknown>>;

/** Any command of any aggregate: which one is data. */
export class Decide extends Command<Result<CommandDone>> {
  constructor(
    readonly aggregate: AggregateName,
    readonly id: string,
    readonly commands: readonly Payload[],
    readonly context: CommandContext,
  ) {
    super();
  }
}

/** The one command handler. Nothing durable hangs on the buses: what happens after an event hangs on the log. */
@CommandHandler(Decide)
export class DecideHandler implements ICommandHandler<Decide> {
  constructor(@Inject(ENGINE) private readonly engine: Engine) {}
  async execute({ aggregate, id, commands, context }: Decide): Promise<Result<CommandDone>> {
    const result = await handleCommand(this.engine.log, registry[aggregate]!, id, commands, context);
    // A revision was expected of what isn't there: that it is missing says more than that it "moved".
    if (result.ok || result.problem.code !== 'stream-moved' || result.problem.allowed?.[0] !== 'r-1') return result;
    const { decider } = registry[aggregate]!;
    const decision = decider.decide(commands, decider.initialState);
    return decision.ok ? result : decision;
  }
}

/** Any question: which one is data. */
export class Question extends Query<unknown> {
  constructor(
    readonly name: keyof Queries,
    readonly input: unknown,
  ) {
    super();
  }
}

/** The one query handler. */
@QueryHandler(Question)
export class QuestionHandler implements IQueryHandler<Question> {
  constructor(@Inject(ENGINE) private readonly engine: Engine) {}
  execute({ name, input }: Question): Promise<unknown> {
    return queries[name](this.engine, input as never);
  }
}

export type Ask = <N extends keyof Queries>(name: N, input: Parameters<Queries[N]>[1]) => ReturnType<Queries[N]>;
