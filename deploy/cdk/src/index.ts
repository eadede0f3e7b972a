/** CDK constructs for streamdex, which keeps an OpenSearch index equal to a DynamoDB table. */

export { PollerEndpoints, Records, StreamdexFunction, StreamdexFunctionProps } from './function';
export { StreamdexService, StreamdexServiceProps } from './service';
export { Search, SharedProps } from './shared';
