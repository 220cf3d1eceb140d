// The tags of a repository: compared, deleted, and put back.

import {ApiError, page, pull, request, whoAmI} from './api.js';
import {ago, count, h, icon, plain, replace, short, size, text} from './dom.js';
import {List} from './list.js';
import {accept} from './manifest.js';
import {ask, copyButton, empty, failed, filterField, heading, link, nameCrumbs, say, to} from './parts.js';

// ---- putting a manifest where a tag was ----

// Sets a tag to a manifest that is there by its digest. expected: the digest that the tag has now, or
// null for a tag that isn't there; if somebody was faster, nothing is changed.
export async function setTag(name, tag, digest, expected) {
  const scope = `repository:${name}:pull,push`;
  const manifest = await request(`${name}/manifests/${digest}`, {scope, headers: accept});
  const type = manifest.headers.get('Content-Type');
  await request(`${name}/manifests/${encodeURIComponent(tag)}`, {
    scope, method: 'PUT', body: await manifest.blob(),
    headers: {'Content-Type': type, ...(expected ? {'If-Match': `"${expected}"`} : {'If-None-Match': '*'})},
  });
}

// ---- the screen ----

export async function repository(route, {signal, go, redraw}) {
  const {name} = route;
  const scope = pull(name);
  const chosen = new Map(); // tag -> item
  let filter = route.query.get('q') ?? '';
  let order = route.query.get('order') ?? 'natural';
  let next, items, run = 0;
  const rightsAsked = whoAmI(name);

  const path = () => `${name}/_tags?n=200&order=${encodeURIComponent(order)}${filter ? `&name=${encodeURIComponent(filter)}` : ''}`;

  async function some(mine) {
    const start = items.length;
    while (next !== null && items.length < start + 50) {
      const {body, next: then} = await page(next, {scope, signal});
      if (mine !== run)
        return false;
      items.push(...body.tags);
      next = then;
    }
    return next !== null;
  }

  function draw(grown = false) {
    list.set(items, grown);
    summary.textContent = items.length === 0 ? '' : `${count(items.length, 'tag')}${next === null ? '' : ' and more'}`;
    nothing.replaceChildren();
    if (items.length === 0)
      nothing.append(filter ? empty('No such tag', 'No tag has ', text(filter), ' in its name.')
        : empty('No tags', 'This repository has no tag. Its manifests can be reached by their digests.'));
  }

  async function begin() {
    const mine = ++run;
    [items, next] = [[], path()];
    await some(mine);
    if (mine !== run)
      return;
    list.done = next === null;
    draw();
  }

  async function beginAgain() {
    try {
      await begin();
    } catch (e) {
      if (e.name !== 'AbortError')
        replace(nothing, failed(e, redraw));
    }
  }

  const list = new List({label: `Tags of ${plain(name)}`, kind: 'two-lines', row: tagRow, more: async () => {
    const mine = run;
    const left = await some(mine);
    if (mine === run)
      draw(true);
    return left;
  }});
  list.failed = (e) => nothing.append(failed(e));

  function tagRow(item) {
    const box = h('input', {type: 'checkbox', 'aria-label': `Choose ${plain(item.name)}`, onchange: () => {
      box.checked ? chosen.set(item.name, item) : chosen.delete(item.name);
      drawActions();
    }});
    box.checked = chosen.has(item.name);
    return h('div', {class: 'row tag'},
      h('label', {class: 'tick'}, box),
      link(to.image(name, item.name), {class: 'name', title: plain(item.name)}, text(item.name)),
      h('span', {class: 'size'}, size(item.size)),
      h('span', {class: 'platforms'}, platformsOf(item)),
      h('span', {class: 'when'}, ago(item.updated), item.by ? [h('span', {class: 'dim'}, ' by '), text(item.by, {max: 30})] : null),
      h('span', {class: 'pulled'}, ago(item.pulled)),
      item.digest !== null ? item.digest && link(to.image(name, item.digest), {class: 'digest mono', title: item.digest}, short(item.digest)) : h('span', {class: 'dim'}, 'being converted'));
  }

  // ---- what can be done with those that are ticked ----

  const actions = h('div', {class: 'actions', role: 'group', 'aria-label': 'Chosen tags'});

  async function drawActions() {
    const all = [...chosen.values()];
    const rights = await rightsAsked;
    const [one, two] = all;
    const mayDelete = rights === null || rights.delete;
    replace(actions,
      all.length === 0 ? h('span', {class: 'dim'}, 'Tick two tags to compare them.') : [
        h('span', null, count(all.length, 'tag chosen', 'tags chosen')),
        all.length === 2 ? link(`${to.image(name, two.name)}/diff/${encodeURIComponent(one.name)}`, {class: 'button'}, 'Compare') : null,
        mayDelete ? h('button', {type: 'button', class: 'button danger', onclick: () => remove(all)}, icon('trash'), 'Delete …')
          : h('span', {class: 'dim'}, 'You have no right to delete here.'),
        h('button', {type: 'button', class: 'button quiet', onclick: () => {
          chosen.clear();
          list.redraw();
          drawActions();
        }}, 'None')]);
  }

  async function remove(all) {
    const going = new Set(all.map((item) => item.name));
    const sharing = (item) => (item.siblings ?? []).filter((tag) => !going.has(tag));
    const last = all.filter((item) => sharing(item).length === 0 && !item.more_siblings);
    const sure = await ask(`Delete ${count(all.length, 'tag')}?`, 'Delete',
      h('ul', {class: 'going'}, all.map((item) => h('li', null, text(item.name, {class: 'mono'}),
        sharing(item).length === 0 ? null : h('p', {class: 'dim'}, 'The same image stays as ',
          sharing(item).map((tag, i) => [i > 0 ? ', ' : '', text(tag, {class: 'mono'})]), item.more_siblings ? ' and more' : '', '.')))),
      last.length === 0 ? h('p', null, 'No image loses its last tag.')
        : h('p', null, `${count(new Set(last.map((item) => item.digest)).size, 'image loses its last tag', 'images lose their last tag')}. What no tag keeps goes some time later.`));
    if (!sure)
      return;
    const gone = [];
    try {
      for (const item of all) {
        await request(`${name}/manifests/${encodeURIComponent(item.name)}`, {
          scope: `repository:${name}:pull,delete`, method: 'DELETE', headers: item.digest ? {'If-Match': `"${item.digest}"`} : {}});
        gone.push(item);
        chosen.delete(item.name);
      }
    } catch (e) {
      replace(notice, failed(e.status === 412 ? new ApiError(412, e.code, 'The tag was moved in the meantime, and stays.', 'Look at it again first.') : e));
    }
    if (gone.length > 0)
      replace(notice, ...(gone.length < all.length ? [...notice.childNodes] : []), h('div', {class: 'notice', role: 'status'},
        `Deleted ${count(gone.length, 'tag')}. `,
        gone.every((item) => item.digest) ? h('button', {type: 'button', class: 'button', onclick: () => undo(gone)}, 'Undo') : null));
    await beginAgain();
    drawActions();
  }

  async function undo(gone) {
    try {
      for (const item of gone)
        await setTag(name, item.name, item.digest, null);
      notice.replaceChildren();
      say(`Put back ${count(gone.length, 'tag')}`);
    } catch (e) {
      replace(notice, failed(e));
    }
    await beginAgain();
  }

  // ---- the whole ----

  const summary = h('p', {class: 'summary', role: 'status'});
  const nothing = h('div');
  const notice = h('div');
  const changed = async () => {
    const query = new URLSearchParams({...(filter && {q: filter}), ...(order !== 'natural' && {order})}).toString();
    go(location.pathname + (query && `?${query}`), {replaced: true, quiet: true});
    await beginAgain();
  };
  const sort = h('select', {'aria-label': 'Order', onchange: () => {
    order = sort.value;
    changed();
  }}, [['natural', 'By version'], ['time', 'Newest first'], ['name', 'By name']].map(([value, title]) => h('option', {value}, title)));
  sort.value = order;

  await begin();
  drawActions();
  return [
    nameCrumbs(name),
    heading(text(name), copyButton(`${location.host}/${name}`, 'name'), summary),
    h('div', {class: 'bar'}, filterField('Filter tags', filter, (value) => {
      filter = value;
      changed();
    }), sort, actions),
    notice,
    h('div', {class: 'columns tag', 'aria-hidden': 'true'}, ['', 'Tag', 'Size', 'Platforms', 'Pushed', 'Pulled', 'Digest'].map((title) => h('span', null, title))),
    list.element, nothing,
  ];
}

function platformsOf(item) {
  const all = (item.platforms ?? []).filter((p) => p.platform && !p.platform.startsWith('unknown'));
  if (all.length === 0)
    return item.artifact_type ? h('span', {class: 'chip', title: plain(item.artifact_type)}, text(item.artifact_type, {max: 40})) : null;
  return [all.slice(0, 3).map((p) => h('span', {class: 'chip'}, text(p.platform, {max: 24}))), all.length > 3 ? h('span', {class: 'chip'}, `+${all.length - 3}`) : null];
}
