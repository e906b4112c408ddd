export {
  importFile,
  InterruptedImport,
  type ImportAnswer,
  type ImportDeps,
  type ImportOptions,
  type ImportProgress,
  type RowProblem,
} from './import';
