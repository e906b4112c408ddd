import { dayNumber, fromDayNumber } from '@vigil/vocabulary';

/** Minutes since 1970-01-01T00:00 on Shanghai's clocks: the story's own time. The country keeps one offset since 1991. */
export type Minute = number;

export const MINUTES = 1440;
const two = (n: number): string => String(n).padStart(2, '0');
const clockOf = (minute: Minute): string => `${two(Math.floor((minute % MINUTES) / 60))}:${two(minute % 60)}:00`;

/** `YYYY-MM-DD` */
export const dayOf = (minute: Minute): string => fromDayNumber(Math.floor(minute / MINUTES));
/** As Shanghai's clocks write it. */
export const shanghai = (minute: Minute): string => `${dayOf(minute)}T${clockOf(minute)}+08:00`;
export const utc = (minute: Minute): string => `${dayOf(minute - 480)}T${clockOf(minute - 480)}Z`;

/** A moment of a day. */
export const moment = (day: string, hour = 9, minute = 0): Minute => dayNumber(day) * MINUTES + hour * 60 + minute;
/** Day `day` of month `YYYY-MM`; `later`: of the month so many after it. */
export const dayIn = (month: string, day: number, later = 0): string => {
  const index = Number(month.slice(0, 4)) * 12 + Number(month.slice(5)) - 1 + later;
  return `${Math.floor(index / 12)}-${two((index % 12) + 1)}-${two(day)}`;
};
/** 1 to 12. */
export const monthOf = (month: string): number => Number(month.slice(5));
