// The files in an image: a tree, a preview, a search by pattern.

import {download, json, page, pull, request} from './api.js';
import {ago, count, h, icon, mode, plain, replace, short, size, text} from './dom.js';
import {List} from './list.js';
import {copyButton, empty, fill, link, rawOf, say} from './parts.js';
import {part, preview} from './preview.js';

// ---- names ----

function lastOf(path) {
  return path.replace(/\/$/, '').replace(/^.*\//, '') || '/';
}

// Where a link leads to, as it stands in an address. The names in a hard link begin at the root.
function targetOf(entry) {
  const target = rawOf({path: entry.linkname, path_b64: entry.linkname_b64});
  const from = entry.type === 'link' || entry.linkname.startsWith('/') ? [] : rawOf(entry).split('/').slice(0, -1);
  const parts = [];
  for (const part of [...from, ...target.split('/')])
    if (part === '..')
      parts.pop();
    else if (part !== '' && part !== '.')
      parts.push(part);
  return parts.join('/');
}

function iconOf(type) {
  return icon({directory: 'folder', symlink: 'link', link: 'link', file: 'file'}[type] ?? 'device');
}

// ---- the screen ----

export function files(it, {signal, go}) {
  const {query, rest, name} = it;
  const layer = query.get('layer');
  const where = layer === null ? it.inside : `${it.inside}/layers/${encodeURIComponent(layer)}`;
  const scope = pull(name);
  const given = new URLSearchParams([...query].filter(([key]) => key === 'platform' || key === 'layer')).toString();
  const address = (raw, more) => `${it.home}/files/${raw}${given || more ? '?' : ''}${[given, more].filter(Boolean).join('&')}`;
  const numbers = new Map((it.manifest.body.layers ?? []).map((l, i) => [l.digest, i]));
  const asked = rest.slice(1).join('/');
  const find = query.get('find');
  const notYet = () => say('The layers are being indexed …');

  const pane = h('section', {class: 'pane', 'aria-label': 'Preview'});
  const tree = h('div', {class: 'tree'});
  const root = {raw: '', depth: -1, open: true, children: null, next: null};
  let selected = asked.replace(/\/$/, '');

  // ---- the tree ----

  async function open(node) {
    node.open = true;
    if (node.children)
      return;
    node.children = [];
    node.next = `${where}/tree/${node.raw}?n=1000`;
    await extend(node);
  }

  async function extend(node) {
    const {body, next} = await page(node.next, {scope, signal, waiting: notYet});
    node.next = next;
    for (const entry of body)
      node.children.push({entry, raw: rawOf(entry), depth: node.depth + 1, open: false, children: null, next: null, parent: node});
  }

  function rows() {
    const all = [];
    const add = (node) => {
      for (const child of node.children ?? []) {
        all.push(child);
        if (child.open)
          add(child);
      }
      if (node.next && node.children)
        all.push({more: node, depth: node.depth + 1});
    };
    add(root);
    return all;
  }

  const list = new List({label: 'Files', kind: 'dense', row: (node) => node.more ? moreRow(node) : fileRow(node)});

  function moreRow(row) {
    const button = h('button', {type: 'button', class: 'button quiet'}, 'More …');
    const load = async () => {
      button.disabled = true;
      try {
        await extend(row.more);
      } catch (e) {
        if (e.name !== 'AbortError')
          say(e.message);
      }
      list.set(rows());
    };
    button.addEventListener('click', load);
    // The rest comes when it can be seen.
    new IntersectionObserver((seen, observer) => {
      if (seen.some((s) => s.isIntersecting)) {
        observer.disconnect();
        load();
      }
    }).observe(button);
    return indented(h('div', {class: 'row file'}, button), row.depth);
  }

  function indented(element, depth) {
    element.style.setProperty('--depth', String(depth));
    return element;
  }

  function fileRow(node) {
    const {entry} = node;
    const isDir = entry.type === 'directory';
    const label = lastOf(entry.path);
    const a = link(address(node.raw), {class: 'name', title: plain(entry.path), 'aria-current': node.raw.replace(/\/$/, '') === selected ? 'true' : null,
      'aria-expanded': isDir ? String(node.open) : null, onclick: (e) => {
        if (e.ctrlKey || e.metaKey || e.shiftKey)
          return;
        e.preventDefault();
        choose(node);
      }, onkeydown: (e) => {
        if (isDir && (e.key === 'ArrowRight' && !node.open || e.key === 'ArrowLeft' && node.open)) {
          e.preventDefault();
          toggle(node, a);
        } else if (e.key === 'ArrowLeft' && node.parent?.entry) {
          e.preventDefault();
          list.show(rows().indexOf(node.parent))?.querySelector('a')?.focus();
        }
      }}, isDir ? icon('caret') : h('span', {class: 'no-caret'}), iconOf(entry.type), text(label, {max: 300}),
    entry.linkname === undefined ? null : h('span', {class: 'dim'}, ' → ', text(entry.linkname, {max: 200})));
    return indented(h('div', {class: 'row file'}, a,
      h('span', {class: 'size'}, entry.type === 'file' ? size(entry.size) : ''),
      h('span', {class: 'mode mono'}, mode(entry.type, entry.mode)),
      h('span', {class: 'owner mono'}, `${entry.uid}:${entry.gid}`),
      h('span', {class: 'layer'}, layerChip(entry.layer))), node.depth);
  }

  function layerChip(digest) {
    const n = numbers.get(digest);
    return n === undefined ? null : h('span', {class: 'chip', title: `layer ${n}: ${digest}`}, String(n));
  }

  async function toggle(node) {
    if (node.open) {
      node.open = false;
    } else {
      try {
        await open(node);
      } catch (e) {
        node.open = false;
        node.children = null;
        if (e.name !== 'AbortError')
          say(e.message);
      }
    }
    refresh(node);
  }

  // Draws the rows anew, and gives the focus back.
  function refresh(node) {
    const focused = tree.contains(document.activeElement);
    list.set(rows());
    if (focused)
      list.show(rows().indexOf(node))?.querySelector('a')?.focus({preventScroll: true});
  }

  async function choose(node) {
    selected = node.raw.replace(/\/$/, '');
    go(address(node.raw), {quiet: true});
    if (node.entry.type === 'directory')
      await toggle(node);
    else
      refresh(node);
    show(node.entry, node.raw);
  }

  // ---- the pane: one entry, and what is in it ----

  function show(entry, raw) {
    const isDir = entry.type === 'directory';
    const inside = h('div', {class: 'preview'});
    const label = lastOf(entry.path);
    replace(pane,
      h('div', {class: 'pane-top'},
        h('h2', null, iconOf(entry.type), text(label, {max: 300})),
        copyButton(entry.path, 'path'),
        layer === null && ['directory', 'file', 'link'].includes(entry.type) ? h('button', {type: 'button', class: 'button', onclick: () => save(entry, raw)}, icon('down'), isDir ? 'Download as tar' : 'Download') : null,
        h('button', {type: 'button', class: 'button quiet close', onclick: () => {
          pane.classList.remove('on');
          pane.replaceChildren();
        }}, 'Close')),
      h('dl', {class: 'line'},
        fact('Path', text(entry.path, {class: 'mono', max: 1000})),
        entry.type === 'file' ? fact('Size', `${size(entry.size)}${entry.size >= 1000 ? ` (${entry.size.toLocaleString('en')} bytes)` : ''}`) : null,
        fact('Mode', h('span', {class: 'mono'}, mode(entry.type, entry.mode))), fact('Owner', h('span', {class: 'mono'}, `${entry.uid}:${entry.gid}`)),
        fact('Changed', ago(entry.mtime)), fact('Layer', [layerChip(entry.layer), ' ', h('span', {class: 'mono dim', title: entry.layer}, short(entry.layer ?? ''))])),
      inside);
    pane.classList.add('on');
    if (entry.linkname !== undefined)
      inside.append(h('p', null, entry.type === 'link' ? 'The same file as ' : 'Leads to ', link(address(targetOf(entry)), null, text(entry.linkname, {class: 'mono', max: 4096}))));
    if (entry.type === 'file' || entry.type === 'link')
      content(entry, raw, inside);
  }

  const fact = (title, content) => h('div', null, h('dt', null, title), h('dd', null, content));

  async function save(entry, raw) {
    const isDir = entry.type === 'directory';
    const label = lastOf(entry.path);
    say('The download begins');
    try {
      await download(isDir ? `${it.inside}/archive/${raw.replace(/\/$/, '')}` : `${where}/blobs/${raw}`,
        isDir ? `${label === '/' ? it.name.replace(/.*\//, '') : label}.tar` : label, scope, (n) => say(`${size(n)} received`));
    } catch (e) {
      say(e.message);
    }
  }

  function content(entry, raw, inside) {
    if (layer !== null) // the API reads files of the whole image only
      inside.append(h('p', null, link(`${it.home}/files/${raw}${it.chosen}`, null, 'The file as the image shows it')));
    else if (entry.type === 'file' && entry.size === 0)
      inside.append(h('p', {class: 'dim'}, 'The file is empty.'));
    else
      preview(inside, async (from, n) => part(await request(`${where}/blobs/${raw}`, {scope, signal, headers: {Range: `bytes=${from}-${from + n - 1}`}})));
  }

  // ---- by pattern ----

  const found = h('div');
  const pattern = h('input', {type: 'search', name: 'find', 'aria-label': 'Find files by pattern', placeholder: 'Find: *.conf, usr/lib/*.so', autocomplete: 'off', spellcheck: 'false', maxlength: 255});
  pattern.value = find ?? '';
  const search = h('form', {class: 'bar', role: 'search', onsubmit: (e) => {
    e.preventDefault();
    const glob = pattern.value.trim();
    go(address('', glob ? `find=${encodeURIComponent(glob)}` : ''));
  }}, h('div', {class: 'field'}, icon('search'), pattern), h('button', {class: 'button'}, 'Find'),
  layer === null ? null : h('span', {class: 'chip'}, `layer ${layer} only `, link(it.home + '/files/' + asked + it.chosen, null, 'whole image')));

  async function findAll() {
    let next = `${it.inside}/find?name=${encodeURIComponent(find)}&n=500`;
    const items = [];
    const hits = new List({label: 'Files that were found', kind: 'dense', row: (entry) => h('div', {class: 'row file'},
      link(address(rawOf(entry)), {class: 'name', title: plain(entry.path)}, iconOf(entry.type), text(entry.path, {max: 500})),
      h('span', {class: 'size'}, entry.type === 'file' ? size(entry.size) : ''), h('span', {class: 'mode mono'}, mode(entry.type, entry.mode)),
      h('span', {class: 'owner mono'}, `${entry.uid}:${entry.gid}`), h('span', {class: 'layer'}, layerChip(entry.layer))),
    more: async () => {
      const {body, next: then} = await page(next, {scope, signal, waiting: notYet});
      items.push(...body);
      next = then;
      hits.set(items);
      summary.textContent = count(items.length, 'file') + (next ? ' and more' : '');
      return next !== null;
    }});
    const summary = h('p', {class: 'summary', role: 'status'});
    hits.done = !(await hits.more());
    return items.length === 0 && hits.done ? empty('No such file', 'No name fits ', text(find), '. A pattern with a slash is compared with the whole path.') : [summary, hits.element];
  }

  // ---- the beginning ----

  async function begin() {
    const parts = asked.split('/').filter(Boolean);
    const entry = asked === '' ? null : await json(`${where.replace(/\/layers\/.*/, '')}/stat/${asked.replace(/\/$/, '')}`, {scope, signal, waiting: notYet});
    const depth = entry && entry.type !== 'directory' ? parts.length - 1 : parts.length;
    await open(root);
    let node = root;
    for (let i = 0; i < depth; i++) {
      const raw = parts.slice(0, i + 1).join('/');
      let child;
      const same = (c) => c.raw.replace(/\/$/, '') === raw;
      while (!(child = node.children.find(same)) && node.next)
        await extend(node);
      if (!child)
        break;
      await open(child);
      node = child;
    }
    // The file that is asked for may be far down in its directory.
    if (entry && entry.type !== 'directory')
      for (let n = 0; n < 100 && node.next && !node.children.some((c) => c.raw === selected); n++)
        await extend(node);
    list.set(rows());
    if (entry) {
      show(entry, asked);
      requestAnimationFrame(() => list.show(rows().findIndex((r) => r.raw?.replace(/\/$/, '') === selected)));
    }
    return root.children.length === 0 ? empty('No files', layer === null ? 'This image has none.' : 'This layer has none.') : list.element;
  }

  if (find) {
    fill(found, findAll, {what: 'Searching …', signal});
    return [search, found];
  }
  fill(tree, begin, {what: 'Reading the layers …', signal});
  return [search, h('div', {class: 'split'}, tree, pane)];
}
