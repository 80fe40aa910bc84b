export default {
  output: 'standalone',
  serverExternalPackages: ['heapdump-rs'],
  outputFileTracingRoot: import.meta.dirname,
};
