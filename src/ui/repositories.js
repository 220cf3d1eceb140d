// The repositories, by namespace, and a field that filters them.

import {base, catalog, me, page} from './api.js';
import {ago, count, h, icon, plain, size, text} from './dom.js';
import {List} from './list.js';
import {crumbs, empty, failed, filterField, heading, link, to} from './parts.js';

const closed = new Set(); // namespaces

export async function repositories(route, {signal, go}) {
  const prefix = route.prefix ?? '';
  let filter = route.query.get('q') ?? '';
  let next, items, run = 0;
  let all, made, space; // rows, the items that have theirs, and the namespace of the last one

  const path = () => `_repositories?n=200${filter ? `&name=${encodeURIComponent(filter)}` : ''}${prefix ? `&prefix=${encodeURIComponent(prefix)}` : ''}`;

  // A page may have less than was asked for, or nothing, and still lead on.
  async function some(mine) {
    const start = items.length;
    while (next !== null && items.length < start + 50) {
      const {body, next: then} = await page(next, {scope: catalog, signal});
      if (mine !== run)
        return false;
      items.push(...body.repositories);
      next = then;
    }
    return next !== null;
  }

  // The rows of the list: namespaces, and what is in them. Only those of new items are made.
  function rows() {
    for (; made < items.length; made++) {
      const item = items[made];
      const below = item.name.slice(prefix.length);
      const cut = below.indexOf('/');
      const here = cut < 0 ? null : prefix + below.slice(0, cut + 1);
      if (here !== null && here !== space?.space)
        all.push(space = {space: here, n: 0});
      if (here === null)
        space = null;
      else
        space.n++;
      if (here === null || !closed.has(here) || filter)
        all.push({item, below: here === null ? below : below.slice(cut + 1), deep: here !== null});
    }
    return all;
  }

  function forgetRows() {
    [all, made, space] = [[], 0, null];
  }

  const countOf = (item) => item === space && next !== null ? `${item.n}+` : item.n;

  function draw(grown = false) {
    const last = space;
    list.set(rows(), grown);
    for (const item of grown && last ? new Set([last, space]) : [])
      if (item?.count)
        item.count.textContent = countOf(item);
    const n = items.length;
    summary.textContent = n === 0 ? '' : `${count(n, 'repository', 'repositories')}${next === null ? '' : ' and more'}`;
    nothing.replaceChildren();
    if (n === 0)
      nothing.append(filter ? empty('Nothing is called like that', 'No repository that you may pull from has ', text(filter), ' in its name.')
        : empty('No repositories yet', 'Push an image, and it appears here: ', h('code', null, `docker push ${location.host}/hello:1`)));
  }

  async function more() {
    const mine = run;
    const left = await some(mine);
    if (mine === run)
      draw(true);
    return left;
  }

  async function begin() {
    const mine = ++run;
    const before = items;
    [items, next] = [[], path()];
    forgetRows();
    try {
      await some(mine);
    } catch (e) {
      if (e.name === 'AbortError' || mine !== run)
        return;
      items = before ?? [];
      forgetRows();
      throw e;
    }
    if (mine !== run)
      return;
    list.done = next === null;
    draw();
  }

  const list = new List({label: 'Repositories', kind: 'two-lines', more, row: (item) => item.space ? spaceRow(item) : repositoryRow(item)});
  list.failed = (e) => nothing.append(failed(e, begin));

  function spaceRow(item) {
    const open = !closed.has(item.space) || filter !== '';
    return h('div', {class: 'row space'},
      h('button', {type: 'button', class: 'caret', 'aria-expanded': String(open), 'aria-label': `Namespace ${plain(item.space)}`, onclick: (e) => {
        closed.has(item.space) ? closed.delete(item.space) : closed.add(item.space);
        forgetRows();
        draw();
        e.preventDefault();
      }}, icon('caret')),
      icon('folder'), link(to.space(item.space), {class: 'name'}, text(item.space.slice(prefix.length))),
      item.count = h('span', {class: 'dim'}, countOf(item)));
  }

  function repositoryRow({item, below, deep}) {
    return h('div', {class: deep ? 'row repo deep' : 'row repo'},
      link(to.repository(item.name), {class: 'name', title: plain(item.name)}, text(below)),
      h('span', {class: 'tags'}, count(item.tags, 'tag')),
      h('span', {class: 'size'}, size(item.size)),
      h('span', {class: 'when'}, ago(item.updated)));
  }

  const summary = h('p', {class: 'summary', role: 'status'});
  const nothing = h('div');
  const field = filterField('Filter repositories', filter, async (value) => {
    filter = value;
    go(location.pathname + (value ? `?q=${encodeURIComponent(value)}` : ''), {replaced: true, quiet: true});
    try {
      await begin();
    } catch (e) {
      nothing.replaceChildren(failed(e));
    }
  });

  await begin();
  return [
    prefix ? crumbs(['Repositories', base], ...prefix.split('/').slice(0, -1).map((part, i, all) =>
      [text(part), i < all.length - 1 ? to.space(all.slice(0, i + 1).join('/') + '/') : null])) : null,
    heading(prefix ? text(prefix.slice(0, -1)) : 'Repositories', summary),
    h('div', {class: 'bar'}, field, me.read_only ? h('span', {class: 'badge'}, 'read-only') : null),
    h('div', {class: 'columns repo', 'aria-hidden': 'true'}, h('span', null, 'Name'), h('span', null, 'Tags'), h('span', null, 'Size'), h('span', null, 'Last push')),
    list.element, nothing,
  ];
}
