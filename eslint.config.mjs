import nx from '@nx/eslint-plugin';
import tseslint from 'typescript-eslint';

/** Who may import whom: the house's rules, enforced. `testing` serves specs only. */
const may = (sourceTag, ...onlyDependOnLibsWithTags) => ({ sourceTag, onlyDependOnLibsWithTags });

export default tseslint.config(
  { ignores: ['**/dist/**', '**/node_modules/**', '.nx/**', '.bench/**', '.vigil/**', '.vigil-demo/**'] },
  ...tseslint.configs.recommended,
  {
    files: ['**/*.ts'],
    plugins: { '@nx': nx },
    rules: {
      '@nx/enforce-module-boundaries': [
        'error',
        {
          allow: [],
          depConstraints: [
            may('lib:vocabulary'),
            may('lib:statistics'),
            may('lib:domain', 'lib:vocabulary', 'lib:testing'),
            may('lib:platform', 'lib:vocabulary'),
            may('lib:event-log', 'lib:vocabulary', 'lib:platform', 'lib:testing'),
            may('lib:projections', 'lib:vocabulary', 'lib:domain', 'lib:event-log', 'lib:platform', 'lib:testing'),
            may(
              'lib:indicators',
              'lib:vocabulary',
              'lib:domain',
              'lib:statistics',
              'lib:projections',
              'lib:platform',
              'lib:testing',
            ),
            may('lib:feeds', 'lib:vocabulary', 'lib:domain', 'lib:event-log', 'lib:platform', 'lib:testing'),
            may('lib:testing', 'lib:vocabulary', 'lib:platform'),
            may(
              'app:bench',
              'lib:vocabulary',
              'lib:platform',
              'lib:event-log',
              'lib:projections',
              'lib:statistics',
              'lib:indicators',
              'lib:feeds',
            ),
            may(
              'app:proof',
              'app:cli',
              'lib:vocabulary',
              'lib:domain',
              'lib:platform',
              'lib:event-log',
              'lib:projections',
              'lib:statistics',
              'lib:indicators',
              'lib:testing',
            ),
            may(
              'app:server',
              'lib:vocabulary',
              'lib:domain',
              'lib:event-log',
              'lib:projections',
              'lib:indicators',
              'lib:feeds',
              'lib:platform',
              'lib:testing',
            ),
            may(
              'app:cli',
              'app:server',
              'lib:vocabulary',
              'lib:statistics',
              'lib:platform',
              'lib:domain',
              'lib:event-log',
              'lib:projections',
              'lib:indicators',
              'lib:feeds',
              'lib:testing',
            ),
          ],
        },
      ],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      'no-console': 'error',
      // JSON data files are read with `import x = require(…)`, which reads the same in every runner of the sources.
      '@typescript-eslint/no-require-imports': ['error', { allow: ['\\.json$'], allowAsImport: true }],
    },
  },
  { files: ['**/*.{cjs,js,mjs}'], rules: { '@typescript-eslint/no-require-imports': 'off' } },
);
