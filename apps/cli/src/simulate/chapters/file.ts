import { deterministicId, fingerprint } from '@vigil/vocabulary';
import type { Minute } from '../clock';

/** Registers in which the story writes, and what one file of each is called in its stream's name. */
const REGISTERS = {
  organisations: 'organisation',
  places: 'place',
  inspections: 'inspection',
  hazards: 'hazard',
  incidents: 'incident',
  interventions: 'intervention',
  surveys: 'survey',
  evaluations: 'evaluation',
} as const;
export type Register = keyof typeof REGISTERS;

/** One command to one file. */
export interface Command {
  readonly kind: 'command';
  readonly at: Minute;
  readonly register: Register | 'injuries';
  readonly id: string;
  /** Below the file's address; absent: the command begins it. */
  readonly path?: string;
  /** Of the file after the command; the one before it is what `If-Match` asks for. */
  readonly revision: number;
  /** `Idempotency-Key`, of one that begins a file whose id is made of it. */
  readonly key?: string;
  readonly body: Readonly<Record<string, unknown>>;
  /** Field of the body whose items go as NDJSON. */
  readonly lines?: string;
}

/** A file as the story writes it. */
export interface File {
  readonly id: string;
  readonly commands: readonly Command[];
  then(at: Minute, path: string, body: Command['body'], lines?: string): File;
}

const file = (
  register: Command['register'],
  id: string,
  begun: readonly Command[],
  revision: number,
): File & { commands: Command[] } => {
  const commands = [...begun];
  return {
    id,
    commands,
    then(at, path, body, lines) {
      commands.push({ kind: 'command', at, register, id, path, revision: ++revision, body, ...(lines && { lines }) });
      return this;
    },
  };
};

/** Begins a file that names itself: a code, a feed's record number. */
export const begin = (register: Register, id: string, at: Minute, body: Command['body']): File =>
  file(register, id, [{ kind: 'command', at, register, id, revision: 0, body }], 0);

/** Begins a file whose id the server makes of the Idempotency-Key and the body, as this does. */
export const beginKeyed = (register: Register, key: string, at: Minute, body: Command['body']): File => {
  const id = deterministicId(REGISTERS[register], key, fingerprint(JSON.stringify(body)));
  return file(register, id, [{ kind: 'command', at, register, id, revision: 0, key, body }], 0);
};

/** An injury record that a feed has reported, and said nothing of since. */
export const reported = (feed: string, recordId: string): File => file('injuries', injuryIdOf(feed, recordId), [], 0);

// As @vigil/domain makes them; it isn't loaded for that: a start would take longer.
export const injuryIdOf = (feed: string, recordId: string): string => deterministicId('injury', feed, recordId);
export const incidentIdOf = (feed: string, recordId: string): string => deterministicId('incident', feed, recordId);

/** Both languages in a text that has room for one. */
export const both = (zh: string, en: string): string => `${zh} · ${en}`;

export const commandsOf = (files: readonly File[]): Command[] =>
  files.flatMap(({ commands }) => commands).sort((a, b) => a.at - b.at);
