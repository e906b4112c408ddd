export * from './detect';
export * from './gather';
export * from './hazards';
export * from './rank';
export { casesOf, seriesOf, type CountSeries, type NotLooked, type SeriesUnit } from './series';
