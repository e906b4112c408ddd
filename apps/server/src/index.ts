export { startEngine, type DependencyHealth, type Engine, type EngineOptions, type Health, type Phase } from './engine';
export { startServer, type Server, type ServerOptions } from './server';
export { serve, type ServeOptions } from './serve';
export { hasEmbeddedLog, headsFolder, isEmbedded, openLog, sealerPlaces, type OpenLog } from './store';
export { openApi } from './openapi';
export { pathOf, routes } from './routes';
export type { Answer, Call, Route } from './route';
export type { FeedView } from './feed-tally';
export type { JobEvent, JobProgress, JobView } from './jobs';
