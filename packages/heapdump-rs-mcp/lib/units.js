const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB'];

/** `12.3 MB`; the structured answers have bytes. */
export function size(bytes) {
  let power = 0;
  let number = bytes;
  while (Math.abs(number) >= 1000 && power < UNITS.length - 1) {
    number /= 1000;
    power++;
  }
  return `${power === 0 ? number : number.toFixed(1)} ${UNITS[power]}`;
}

export const counted = (count, one, many = `${one}s`) => `${count.toLocaleString('en-US')} ${count === 1 ? one : many}`;
