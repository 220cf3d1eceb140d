// The packages of an image, as its own database has them; and their difference between two images.

import {json, pull} from './api.js';
import {count, h, plain, text} from './dom.js';
import {List} from './list.js';
import {empty, filterField} from './parts.js';

// A table with a field that filters it.
function table(label, kind, titles, all, row) {
  const list = new List({label, row, kind: 'two-lines'});
  const summary = h('p', {class: 'summary', role: 'status'});
  const fit = (filter) => {
    const some = filter ? all.filter((p) => p.name.toLowerCase().includes(filter.toLowerCase())) : all;
    summary.textContent = count(some.length, 'package');
    list.set(some);
  };
  fit('');
  return [
    h('div', {class: 'bar'}, filterField('Filter packages', '', fit), summary),
    h('div', {class: `columns ${kind}`, 'aria-hidden': 'true'}, titles.map((title) => h('span', null, title))),
    list.element,
  ];
}

const cut = (truncated) => truncated ? h('p', {class: 'badge'}, 'The database is too large to be read whole: there are more packages.') : null;

export async function packages(it, {signal}) {
  const {packages: all, truncated} = await json(`${it.inside}/packages`, {scope: pull(it.name), signal});
  if (all.length === 0)
    return empty('No packages', 'This image has no database of dpkg or apk.');
  return [cut(truncated), table('Packages', 'package', ['Package', 'Version', 'Architecture', 'Source', 'Kind'], all, (p) => h('div', {class: 'row package'},
    h('span', {class: 'name', title: plain(p.name)}, text(p.name, {max: 200})), text(p.version, {max: 200, tag: 'span', class: 'mono', title: plain(p.version)}),
    text(p.architecture ?? '', {max: 40}), text(p.source && p.source !== p.name ? p.source : '', {max: 100, class: 'dim'}), h('span', {class: 'chip'}, text(p.type, {max: 10}))))];
}

// What has to be installed, replaced and removed to come from one image to the other.
export async function packageChanges(it, from, {signal}) {
  const {changes, truncated} = await json(`${it.inside}/packages?from=${encodeURIComponent(from)}`, {scope: pull(it.name), signal});
  if (changes.length === 0)
    return empty('The packages are the same', 'Or neither image has a database of dpkg or apk.');
  return [cut(truncated), table('Changes of packages', 'package-change', ['', 'Package', 'From', 'To', 'Architecture'], changes, (p) => h('div', {class: `row package-change op-${p.op}`},
    h('span', {class: `op ${p.op}`}, {add: 'added', change: 'changed', remove: 'removed'}[p.op] ?? ''), h('span', {class: 'name', title: plain(p.name)}, text(p.name, {max: 200})),
    text(p.from ?? '–', {max: 200, tag: 'span', class: 'mono'}), text(p.version ?? '–', {max: 200, tag: 'span', class: 'mono'}), text(p.architecture ?? '', {max: 40})))];
}
