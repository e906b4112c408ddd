// Pure specs (*.spec.ts) need nothing; *.it.spec.ts share one embedded PostgreSQL started by globalSetup.
process.env.TZ = 'UTC';

const swc = (parser) => ({
  jsc: { parser, target: 'es2022', transform: { legacyDecorator: true } },
  module: { type: 'commonjs' },
  sourceMaps: 'inline',
});

const common = {
  rootDir: __dirname,
  testEnvironment: 'node',
  transform: {
    '^.+\\.ts$': ['@swc/jest', swc({ syntax: 'typescript', decorators: true })],
    // ES modules without a CommonJS build; the engine itself imports them as they are.
    '/node_modules/hyparquet(-writer)?/.+\\.js$': ['@swc/jest', swc({ syntax: 'ecmascript' })],
  },
  transformIgnorePatterns: ['/node_modules/(?!hyparquet(-writer)?/)'],
  testPathIgnorePatterns: ['/node_modules/', '/dist/'],
  modulePathIgnorePatterns: ['/dist/'],
};

module.exports = {
  projects: [
    {
      ...common,
      displayName: 'unit',
      testMatch: ['<rootDir>/{libs,apps}/**/*.spec.ts'],
      testPathIgnorePatterns: [...common.testPathIgnorePatterns, '\\.it\\.spec\\.ts$'],
    },
    {
      ...common,
      displayName: 'integration',
      testMatch: ['<rootDir>/{libs,apps}/**/*.it.spec.ts'],
      globalSetup: '<rootDir>/libs/testing/src/jest/global-setup.ts',
      globalTeardown: '<rootDir>/libs/testing/src/jest/global-teardown.ts',
    },
  ],
};
