/** For `--require heapdump-rs/register` and `--import heapdump-rs/register`: configured by `NODE_HEAPDUMP_OPTIONS`. */
export {};
