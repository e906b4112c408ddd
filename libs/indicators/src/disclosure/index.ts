export { cellId, shareIds, shareTable, tableOf, type Axis, type Cell, type Sum, type Table } from './table';
export { protectTable, type Decision, type Hidden, type Protection } from './protect';
export { nextVintage, NO_HISTORY, protectVintages, type History } from './vintages';
