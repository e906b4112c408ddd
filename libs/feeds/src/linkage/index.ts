export * from './model';
export { columnsOf, patternOf, type Columns, type LinkRecord } from './columns';
export { block, type SkippedBlock } from './block';
export { chanceOf, estimate, fitted, type Chance, type Fitted } from './estimate';
export { explain, linkPairs, weigh, type FieldEvidence, type Linkage, type LinkedPair, type LinkOptions } from './link';
export {
  createLinkageStore,
  LINKAGE_MIGRATIONS,
  type Candidate,
  type CasualtyRef,
  type KeptCandidate,
  type LinkageStore,
  type ReviewStatus,
} from './store';
export {
  createLinkage,
  type Decided,
  type LinkageOptions,
  type LinkageRun,
  type LinkageService,
  type RunOptions,
} from './runner';
