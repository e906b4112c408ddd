export { kafkaIsHere, startTestBroker, type TestBroker } from './broker';
