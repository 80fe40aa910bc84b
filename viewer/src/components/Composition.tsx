// What the memory is used for, as one bar and its parts in numbers.

import type { Statistics } from '../../../lib/analyze.d.ts';
import { percent, size } from '../format.ts';
import { type Sort, paintSort } from '../drawing/colours.ts';
import { useDark } from './HeapCanvas.tsx';

export function Composition({ statistics }: { statistics: Statistics }) {
  const dark = useDark();
  const { total, native, typedArrays, v8Heap, code, strings, jsArrays, system } = statistics;
  const parts: Array<[string, number, Sort]> = [
    ['Strings', strings, 'text'],
    ['Arrays', jsArrays, 'container'],
    ['Other objects', Math.max(0, v8Heap - code - strings - jsArrays - system), 'class'],
    ['Code', code, 'code'],
    ['V8 itself', system, 'system'],
    ['Typed arrays and buffers', typedArrays, 'native'],
    ['Other native memory', Math.max(0, native - typedArrays), 'variables'],
  ];
  return (
    <div class="composition">
      <div class="stack" aria-hidden="true">
        {parts.map(([name, bytes, sort]) => (
          <span key={name} title={`${name}: ${size(bytes)}`} style={{ flexGrow: bytes / (total || 1), background: paintSort(sort, 3, dark).fill }} />
        ))}
      </div>
      <dl>
        {parts.filter(([, bytes]) => bytes > 0).map(([name, bytes, sort]) => (
          <div key={name}>
            <dt><span class="dot" style={{ background: paintSort(sort, 3, dark).fill }} aria-hidden="true" />{name}</dt>
            <dd>{size(bytes)} <span class="quiet">{percent(bytes, total)}</span></dd>
          </div>
        ))}
      </dl>
    </div>
  );
}
