import { z } from 'zod';
import { say } from './fields';

/** What a safe-community programme works on (安全促进领域). */
export const PROGRAMME_DOMAINS = [
  'work-safety',
  'home',
  'fire',
  'traffic',
  'public-security',
  'school',
  'children',
  'elderly',
  'disability',
  'migrants-and-rental',
  'construction',
  'sports',
  'water',
  'public-places',
  'disaster-and-environment',
] as const;
export type ProgrammeDomain = (typeof PROGRAMME_DOMAINS)[number];

export const programmeDomain = z.enum(PROGRAMME_DOMAINS, {
  error: () =>
    say('unknown-domain', `领域应为 ${PROGRAMME_DOMAINS.join('、')} 之一`, `the domain is one of ${PROGRAMME_DOMAINS.join(', ')}`)
      .message,
});
