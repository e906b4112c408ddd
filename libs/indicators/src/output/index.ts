export * from './answer';
export * from './json-stat';
export * from './parquet';
export * from './tables';
export * from './xlsx';
