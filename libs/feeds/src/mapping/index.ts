export {
  compileMapping,
  type CellProblem,
  type CompiledMapping,
  type CompileOptions,
  type Mapped,
  type PopulationRow,
} from './compile';
export { findColumn, mappingNamed, mappings, mappingSchema, resembling, type Mapping } from './mapping';
