import type { Route } from '../route';
import { alertRoutes } from './alerts';
import { caseFileRoutes } from './case-files';
import { communityRoutes } from './communities';
import { criteriaSetRoutes } from './criteria-sets';
import { deadLetterRoutes } from './dead-letters';
import { docsRoutes } from './docs';
import { effectRoutes } from './effect';
import { feedRoutes } from './feeds';
import { healthRoutes } from './health';
import { indicatorRoutes } from './indicators';
import { injuryRoutes } from './injuries';
import { jobRoutes } from './jobs';
import { linkageRoutes } from './linkage';
import { logRoutes } from './log';
import { observationRoutes } from './observations';
import { organisationRoutes } from './organisations';
import { projectionRoutes } from './projections';
import { referenceRoutes } from './reference';

/** Everything the server answers, as data. */
export const routes: readonly Route[] = [
  ...communityRoutes,
  ...injuryRoutes,
  ...organisationRoutes,
  ...caseFileRoutes,
  ...alertRoutes,
  ...effectRoutes,
  ...criteriaSetRoutes,
  ...indicatorRoutes,
  ...observationRoutes,
  ...feedRoutes,
  ...deadLetterRoutes,
  ...jobRoutes,
  ...linkageRoutes,
  ...logRoutes,
  ...projectionRoutes,
  ...referenceRoutes,
  ...healthRoutes,
  ...docsRoutes(() => routes),
];

/** Where a route stands. */
export const pathOf = ({ path, bare }: Route): string => (bare ? path : `/api/v1${path}`);

/** First words of paths that the API will have and this version hasn't. */
export const NOT_BUILT: ReadonlySet<string> = new Set([
  'snapshots',
  'fhir', 'reports', 'findings', 'corrective-actions',
]); // prettier-ignore
