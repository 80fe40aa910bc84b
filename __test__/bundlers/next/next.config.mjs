export default {
  output: 'standalone',
  serverExternalPackages: ['heapdump-rs'],
  outputFileTracingRoot: import.meta.dirname,
  // npm run test:types and test:packed check the types.
  typescript: { ignoreBuildErrors: true },
};
