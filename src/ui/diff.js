// What differs between two images of a repository: files, their texts side by side, packages.

import {lines, pull, request} from './api.js';
import {count, h, icon, plain, replace, text} from './dom.js';
import {List} from './list.js';
import {packageChanges} from './packages.js';
import {empty, failed, fill, link, loading, rawOf, to} from './parts.js';
import {asText, part} from './preview.js';

const COMPARED_MAX = 256 * 1024;
const TABLE_MAX = 4e6;
const opNames = {add: 'added', change: 'changed', remove: 'removed'};

export function diff(it, context) {
  const {signal, go} = context;
  const {query} = it;
  const from = decodeURIComponent(it.rest[1] ?? '');
  const scope = pull(it.name);
  const home = `${it.home}/diff/${encodeURIComponent(from)}`;
  const given = query.get('platform') ? `platform=${encodeURIComponent(query.get('platform'))}` : '';
  const address = (...more) => [home, [given, ...more].filter(Boolean).join('&')].filter(Boolean).join('?');
  // Both images by the tag, so that each is that of the same platform.
  const now = `${it.name}/_image/${it.ref}`;
  const ask = (where, rest, ...more) => `${where}${rest}${[given, ...more].filter(Boolean).length ? '?' : ''}${[given, ...more].filter(Boolean).join('&')}`;
  const view = query.get('view') ?? 'files';

  const head = [
    h('p', null, 'From ', link(to.image(it.name, from), null, text(from)), ' to ', link(to.image(it.name, it.ref), null, text(it.ref)), ' ',
      link(`${to.image(it.name, from)}/diff/${encodeURIComponent(it.ref)}${given && '?' + given}`, {class: 'button quiet'}, 'The other way round')),
    h('div', {class: 'chips'}, [['files', 'Files'], ['packages', 'Packages']].map(([key, title]) =>
      link(address(key === 'files' ? '' : `view=${key}`), {class: 'chip', 'aria-current': view === key ? 'true' : null}, title))),
  ];
  if (view === 'packages') {
    const body = h('div');
    fill(body, () => packageChanges({...it, inside: now}, from, context), {what: 'Comparing the packages …', signal});
    return [head, body];
  }

  // ---- the list, which grows while the answer comes ----

  const all = [];
  const shown = {add: true, change: true, remove: true};
  const counts = {add: 0, change: 0, remove: 0};
  const pane = h('section', {class: 'pane', 'aria-label': 'Differences of a file'});
  const nothing = h('div');
  const boxes = h('div', {class: 'bar', role: 'group', 'aria-label': 'Show'});
  const list = new List({label: 'Paths that differ', kind: 'dense', row: (item) => {
    const raw = rawOf(item);
    return h('div', {class: 'row change'},
      h('span', {class: `op ${item.op}`}, opNames[item.op]),
      item.path.endsWith('/') ? h('span', {class: 'name', title: plain(item.path)}, icon('folder'), ' ', text(item.path, {max: 500}))
        : link(address(`path=${encodeURIComponent(raw)}`), {class: 'name', title: plain(item.path), 'aria-current': query.get('path') === raw ? 'true' : null, onclick: (e) => {
          if (e.ctrlKey || e.metaKey || e.shiftKey)
            return;
          e.preventDefault();
          query.set('path', raw);
          go(address(`path=${encodeURIComponent(raw)}`), {quiet: true});
          list.redraw();
          show(raw, item.op);
        }}, text(item.path, {max: 500})),
      h('span', {class: 'dim what'}, (item.changed ?? []).join(', '), item.unknown ? ' (content not compared)' : ''));
  }});
  const draw = () => list.set(all.filter((item) => shown[item.op]));
  const tell = (done) => {
    replace(boxes, Object.keys(opNames).map((op) => {
      const box = h('input', {type: 'checkbox', onchange: () => {
        shown[op] = box.checked;
        draw();
      }});
      box.checked = shown[op];
      return h('label', {class: 'check'}, box, `${counts[op].toLocaleString('en')} ${opNames[op]}`);
    }), done ? null : h('span', {class: 'dim', role: 'status'}, 'comparing …'));
  };

  async function run() {
    let last = '';
    let at = 0;
    try {
      for (;;) {
        let more = null;
        for await (const item of lines(ask(now, '/diff', `from=${encodeURIComponent(from)}`, 'n=1000', last), {scope, signal})) {
          if (item.op === 'more') {
            more = item;
            break;
          }
          all.push(item);
          counts[item.op]++;
          if (Date.now() - at > 200) {
            at = Date.now();
            draw();
            tell(false);
          }
        }
        if (!more)
          break;
        last = `last=${rawOf(more)}`;
      }
      draw();
      tell(true);
      if (all.length === 0)
        replace(nothing, empty('The files are the same', 'The two images show the same files to a container.'));
    } catch (e) {
      if (e.name === 'AbortError')
        return;
      draw();
      replace(nothing, failed(e, run));
      boxes.replaceChildren();
    }
  }

  // ---- one file ----

  async function side(where, raw) {
    try {
      const response = await request(ask(where, `/blobs/${raw}`), {scope, signal, headers: {Range: `bytes=0-${COMPARED_MAX - 1}`}});
      return await part(response);
    } catch (e) {
      if (e.status === 416)
        return {bytes: new Uint8Array(0), total: 0};
      if (e.status === 404)
        return null;
      throw e;
    }
  }

  async function show(raw, op) {
    const path = plain(decode(raw));
    pane.classList.add('on');
    const inside = h('div', {class: 'preview'}, loading());
    replace(pane, h('div', {class: 'pane-top'}, h('h2', null, text(path, {max: 500})),
      link(`${to.image(it.name, op === 'remove' ? from : it.ref)}/files/${raw}${given && '?' + given}`, {class: 'button'}, 'Open'),
      h('button', {type: 'button', class: 'button quiet', onclick: () => {
        pane.classList.remove('on');
        pane.replaceChildren();
      }}, 'Close')), inside);
    try {
      const [old, fresh] = await Promise.all([side(`${it.name}/_image/${from}`, raw), side(now, raw)]);
      replace(inside, compared(old, fresh));
    } catch (e) {
      if (e.name !== 'AbortError')
        replace(inside, failed(e));
    }
  }

  tell(false);
  run();
  if (query.get('path'))
    show(query.get('path'), '');
  return [head, boxes, h('div', {class: 'split'}, h('div', {class: 'tree'}, list.element, nothing), pane)];
}

function decode(raw) {
  try {
    return '/' + decodeURIComponent(raw);
  } catch {
    return '/' + raw;
  }
}

// ---- texts side by side ----

function compared(old, fresh) {
  if (old === null && fresh === null)
    return h('p', {class: 'dim'}, 'Neither image has a file there that can be read.');
  const texts = [old, fresh].map((f) => f === null ? '' : asText(f.bytes, f.bytes.length >= f.total));
  if (texts.includes(null))
    return h('p', {class: 'dim'}, 'These are not texts.');
  const rows = sideBySide(...texts.map((t) => t === '' ? [] : t.replace(/\n$/, '').split('\n')));
  const cut = [old, fresh].some((f) => f && f.bytes.length < f.total);
  return [
    cut ? h('p', {class: 'badge'}, `Only the first ${COMPARED_MAX / 1024} KiB are compared.`) : null,
    rows.every(([a, b]) => a && b && a.text === b.text) ? h('p', {class: 'dim'}, 'The texts are the same.') : null,
    h('div', {class: 'code sides', tabindex: 0, role: 'group', 'aria-label': 'Both texts'}, h('table', null, h('tbody', null, folded(rows).map((row) => row.skipped
      ? h('tr', {class: 'skipped'}, h('td', {colspan: 4}, count(row.skipped, 'same line')))
      : h('tr', null, cell(row[0], row[1], 'old'), cell(row[1], row[0], 'new')))))),
  ];
}

function cell(line, other, kind) {
  const differs = line && (!other || other.text !== line.text);
  return [h('td', {class: 'number'}, line ? String(line.n) : ''),
    line ? text(line.text.slice(0, 4000), {tag: 'td', lines: true, class: differs ? `${kind} differs` : ''}) : h('td', {class: 'none'})];
}

// Long runs of lines that are the same become one row.
function folded(rows) {
  const out = [];
  for (let i = 0; i < rows.length;) {
    let j = i;
    while (j < rows.length && rows[j][0] && rows[j][1] && rows[j][0].text === rows[j][1].text)
      j++;
    if (j - i > 8) {
      const [first, last] = [i === 0 ? i : i + 3, j === rows.length ? j : j - 3];
      out.push(...rows.slice(i, first), {skipped: last - first}, ...rows.slice(last, j));
    } else {
      out.push(...rows.slice(i, j));
    }
    i = j;
    if (i < rows.length)
      out.push(rows[i++]);
  }
  return out;
}

// Pairs of lines: the same, changed, or only on one side. By the longest common subsequence, unless
// that would take too long.
export function sideBySide(a, b) {
  const line = (all, i) => ({n: i + 1, text: all[i]});
  let start = 0;
  let [ae, be] = [a.length, b.length];
  while (start < ae && start < be && a[start] === b[start])
    start++;
  while (ae > start && be > start && a[ae - 1] === b[be - 1]) {
    ae--;
    be--;
  }
  const rows = [];
  for (let i = 0; i < start; i++)
    rows.push([line(a, i), line(b, i)]);
  const [n, m] = [ae - start, be - start];
  let [gone, come] = [[], []];
  const flush = () => {
    for (let i = 0; i < Math.max(gone.length, come.length); i++)
      rows.push([gone[i] ?? null, come[i] ?? null]);
    [gone, come] = [[], []];
  };
  let [i, j] = [0, 0];
  if (n * m <= TABLE_MAX) {
    const width = m + 1;
    const best = new Uint16Array((n + 1) * width);
    for (let x = n - 1; x >= 0; x--)
      for (let y = m - 1; y >= 0; y--)
        best[x * width + y] = a[start + x] === b[start + y] ? best[(x + 1) * width + y + 1] + 1 : Math.max(best[(x + 1) * width + y], best[x * width + y + 1]);
    while (i < n && j < m)
      if (a[start + i] === b[start + j]) {
        flush();
        rows.push([line(a, start + i++), line(b, start + j++)]);
      } else if (best[(i + 1) * width + j] >= best[i * width + j + 1]) {
        gone.push(line(a, start + i++));
      } else {
        come.push(line(b, start + j++));
      }
  }
  while (i < n)
    gone.push(line(a, start + i++));
  while (j < m)
    come.push(line(b, start + j++));
  flush();
  for (let k = 0; ae + k < a.length; k++)
    rows.push([line(a, ae + k), line(b, be + k)]);
  return rows;
}
