export { createProgram, main } from './main';
export { story, type CloudEvent, type Step, type Story, type StoryOptions } from './simulate/story';
