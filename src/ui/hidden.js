// The files of one layer that no container sees.

import {page, pull} from './api.js';
import {count, h, icon, mode, plain, replace, size, text} from './dom.js';
import {List} from './list.js';
import {empty, failed, link, rawOf, say} from './parts.js';

export async function hidden(it, {signal}) {
  const n = it.rest[1] ?? '0';
  let next = `${it.inside}/layers/${encodeURIComponent(n)}/hidden?n=500`;
  const items = [];
  let bytes = 0;
  const summary = h('p', {class: 'summary', role: 'status'});
  const row = (entry) => h('div', {class: 'row file'},
    h('span', {class: 'name', title: plain(entry.path)}, icon(entry.type === 'file' ? 'file' : 'link'), text(entry.path, {max: 500})),
    h('span', {class: 'size'}, entry.type === 'file' ? size(entry.size) : ''), h('span', {class: 'mode mono'}, mode(entry.type, entry.mode)),
    h('span', {class: 'owner'}, entry.hidden === 'replaced' ? link(`${it.home}/files/${rawOf(entry)}${it.chosen}`, null, 'replaced') : 'removed'));
  const list = new List({label: `Hidden files of layer ${plain(n)}`, kind: 'dense', row, more: async () => {
    const {body, next: then} = await page(next, {scope: pull(it.name), signal, waiting: () => say('The layers are being indexed …')});
    items.push(...body);
    next = then;
    bytes += body.reduce((sum, entry) => sum + (entry.type === 'file' ? entry.size : 0), 0);
    list.set(items, true);
    summary.textContent = `${count(items.length, 'file')}, ${size(bytes)}${next ? ', and more' : ''}`;
    return next !== null;
  }});
  const problem = h('div');
  list.failed = (e) => replace(problem, failed(e));
  list.done = !(await list.more());
  return [
    h('h2', null, 'Hidden in layer ', text(n, {max: 10})),
    h('p', {class: 'dim'}, 'Later layers replace or remove these files. No container sees them, and each pull carries them.'),
    items.length === 0 && list.done ? empty('Nothing is hidden', 'A container sees all files of this layer.') : [summary, list.element, problem],
  ];
}
