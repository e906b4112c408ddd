export { feedSchemas, understand, type Understood } from './cloud-event';
export { pushEvents, pushParsed, type PushAnswer, type PushRequest, type PushResult } from './push';
