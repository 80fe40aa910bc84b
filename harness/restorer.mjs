// The two programs that go with the addon: what makes a process of a heap image again (crates/heapimage-restore), and what captures
// a process from outside (crates/heapimage-outside).

/** Whether there are both for a platform; named as in npm/, by default this one. */
export const restorerIsBuilt = (name = `${process.platform}-${process.arch}`) => name.startsWith('linux-x64');

/** What cargo builds it with: no library of the system's, at a fixed address. */
export const restorerArguments = (...more) => [
  ...'rustc -p heapimage-restore --bin heapimage-restore --features program --profile restorer'.split(' '),
  ...more,
  ...'-- -C relocation-model=static'.split(' '),
];

/** What cargo builds the tracer with. */
export const tracerArguments = (...more) => ['build', '-p', 'heapimage-outside', '--release', ...more];
