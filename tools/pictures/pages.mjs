// Two pages that are made for their picture alone.

const STYLE = `
:root { color-scheme: light dark; --back: light-dark(#fff, #16181d); --text: light-dark(#1d2129, #e4e7ec); --quiet: light-dark(#5c6470, #9aa3b0);
  --theirs: light-dark(#c9ced6, #414854); --ours: light-dark(#c2410c, #fb923c); }
body { margin: 0; padding: 28px 32px; background: var(--back); color: var(--text); font: 16px/1.5 "DejaVu Sans", system-ui, sans-serif; }
h1 { margin: 0 0 4px; font-size: 21px; }
p { margin: 0 0 20px; color: var(--quiet); font-size: 14px; }
`;

/** How long the event loop stood still: a bar for Node's own function and one for ours, as long as they took. */
export function pauseChart(measured) {
  const rows = [...measured.matchAll(/^\| (\d+), (\d+) MB, quiet \| ([\d.]+ m?s) \| ([\d.]+ m?s) \| (\d+) \|/gm)]
    .map(([, node, heap, theirs, ours, ratio]) => ({ node, heap, theirs, ours, ratio }))
    .sort((a, b) => a.heap - b.heap || b.node - a.node);
  if (rows.length === 0) throw new Error('docs/measured.md has no rows of a quiet machine');
  const most = Math.max(...rows.map(({ theirs }) => inMs(theirs)));
  const bar = (name, time) => `<div class="bar ${name}"><span style="width: ${Math.max(0.25, (78 * inMs(time)) / most).toFixed(2)}%"></span><b>${time}</b></div>`;
  const groups = rows.map(({ node, heap, theirs, ours, ratio }) => `
    <section><h2>Node.js ${node}, a heap of ${heap} MB <em>${ratio} times as long</em></h2>${bar('theirs', theirs)}${bar('ours', ours)}</section>`);
  return `<!doctype html><meta charset="utf-8"><style>${STYLE}
    section { margin: 0 0 16px; } h2 { margin: 0 0 6px; font-size: 15px; font-weight: 600; } em { color: var(--quiet); font-style: normal; font-weight: 400; }
    .bar { display: flex; align-items: center; height: 24px; } .bar span { height: 18px; border-radius: 2px; }
    .bar b { margin-left: 8px; font-size: 14px; } .theirs span { background: var(--theirs); } .ours span { background: var(--ours); }
    .ours b { color: var(--ours); }
    ul { display: flex; gap: 24px; margin: 0; padding: 0; list-style: none; font-size: 14px; } i { display: inline-block; width: 12px; height: 12px; margin-right: 6px; border-radius: 2px; }
    </style><h1>How long the event loop stands still for a heap snapshot</h1><p>npm run bench, on a machine at rest: docs/measured.md</p>${groups.join('')}
    <ul><li><i style="background: var(--theirs)"></i>v8.writeHeapSnapshot()</li><li><i style="background: var(--ours)"></i>heapdump-rs</li></ul>`;
}

const inMs = (text) => Number.parseFloat(text) * (text.endsWith(' ms') ? 1 : 1000);

/** What a command says, as a terminal shows it. */
export function terminal(command, output) {
  const lines = output.trimEnd().split('\n');
  return `<!doctype html><meta charset="utf-8"><style>
    body { margin: 0; padding: 18px; background: #0f1115; }
    pre { margin: 0; padding: 20px 22px; border-radius: 10px; background: #191c22; color: #d6dae1; font: 14px/1.55 "DejaVu Sans Mono", monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
    b { color: #fb923c; font-weight: 600; } i { color: #7d8694; font-style: normal; }
    </style><pre><i>$</i> ${escape(command)}\n${lines.map(coloured).join('\n')}</pre>`;
}

/** A heading stands out, and so does the word that says what a line is. */
function coloured(line) {
  if (/^\d+\. /.test(line)) return `<b>${escape(line)}</b>`;
  return escape(line).replace(/^( {2,}[a-z]+(?: [a-z]+)? {2,})/, '<i>$1</i>');
}

const escape = (text) => text.replace(/[&<>]/g, (sign) => `&#${sign.charCodeAt(0)};`);
