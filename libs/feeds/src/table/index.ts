export { type ErrorsCsv, errorsCsv } from './errors-csv';
export { type Encoding } from './encoding';
export { type Detail, FileFault, type FileFaultCode, type FilePlace, type Row, type RowFault, type RowFaultCode } from './fault';
export {
  type Delimiter,
  ERROR_COLUMNS,
  type LineEnds,
  openTable,
  type Table,
  type TableFormat,
  type TableOptions,
} from './table';
