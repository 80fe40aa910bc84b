// A small chart of sizes over snapshots.

import { size } from '../format.ts';

interface Props {
  values: number[];
  /** Where each stands, in seconds; evenly without. */
  times?: Array<number | null>;
  name: string;
  large?: boolean;
}

export function Chart({ values, times, name, large = false }: Props) {
  const [width, height] = large ? [640, 150] : [120, 30];
  const edge = large ? 6 : 2;
  const most = Math.max(...values, 1);
  const known = times?.every((time) => time !== null) && new Set(times).size === times.length ? (times as number[]) : null;
  const [start, end] = known ? [known[0]!, known.at(-1)!] : [0, values.length - 1];
  const x = (index: number) => edge + ((known ? known[index]! : index) - start) / (end - start || 1) * (width - 2 * edge);
  const y = (value: number) => height - edge - (value / most) * (height - 2 * edge);
  const points = values.map((value, index) => `${x(index).toFixed(1)},${y(value).toFixed(1)}`);
  const words = `${name}: ${values.map(size).join(', ')}`;
  return (
    <svg class={large ? 'chart large' : 'chart'} viewBox={`0 0 ${width} ${height}`} role="img" aria-label={words}>
      <polygon points={`${x(0).toFixed(1)},${height - edge} ${points.join(' ')} ${x(values.length - 1).toFixed(1)},${height - edge}`} />
      <polyline points={points.join(' ')} />
      {values.map((value, index) => (
        <circle key={index} cx={x(index).toFixed(1)} cy={y(value).toFixed(1)} r={large ? 3.5 : 1.8}><title>{size(value)}</title></circle>
      ))}
    </svg>
  );
}
