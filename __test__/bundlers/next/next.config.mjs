export default {
  output: 'standalone',
  serverExternalPackages: ['heapdump-rs'],
  // What nothing imports: the command line and `--require .../register.js`.
  outputFileTracingIncludes: { '/*': ['node_modules/heapdump-rs/{bin,lib}/**'] },
  outputFileTracingRoot: import.meta.dirname,
  // npm run test:types and test:packed check the types.
  typescript: { ignoreBuildErrors: true },
};
