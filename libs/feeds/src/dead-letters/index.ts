export { letterOf, type DeadLetter, type Origin, type Refused } from './letter';
export { retryLetter } from './retry';
export {
  createDeadLetterStore,
  DEAD_LETTER_MIGRATIONS,
  type DeadLetterStore,
  type KeptLetter,
  type LetterQuery,
  type LetterStatus,
  type Retry,
} from './store';
