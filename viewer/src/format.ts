// Numbers as every command prints them: 1 kB is 1000 bytes, as in DevTools.

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

export function size(bytes: number): string {
  let [value, unit] = [Math.abs(bytes), 0];
  for (; value >= 999.95 && unit < UNITS.length - 1; unit++) value /= 1000;
  return `${bytes < 0 ? '−' : ''}${unit === 0 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

export const delta = (bytes: number) => (bytes > 0 ? `+${size(bytes)}` : size(bytes));

const grouped = new Intl.NumberFormat('en-US');
export const number = (value: number) => grouped.format(value);

export const signed = (value: number) => (value > 0 ? `+${number(value)}` : number(value));

export function percent(part: number, whole: number): string {
  const value = whole > 0 ? (100 * part) / whole : 0;
  return `${value >= 10 || value === 0 ? Math.round(value) : value.toFixed(1)} %`;
}

export const many = (count: number, one: string, more = `${one}s`) => `${number(count)} ${count === 1 ? one : more}`;

/** The last part of a path. */
export const baseName = (path: string) => path.split(/[\\/]/).at(-1) || path;

/** `+1:02:03` after the first. */
export function clock(seconds: number): string {
  const whole = Math.round(Math.abs(seconds));
  const two = (value: number) => String(value).padStart(2, '0');
  return `${seconds < 0 ? '−' : '+'}${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
}
