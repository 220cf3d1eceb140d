// What the registry stores, what sharing saves, and which repositories are the largest.

import {catalog, json} from './api.js';
import {ago, count, h, plain, size, text} from './dom.js';
import {empty, heading, link, to} from './parts.js';

// Rectangles for values that are sorted, the largest first: each row of them as square as can be.
export function squares(values, width, height) {
  const out = [];
  let [x, y, w, h_] = [0, 0, width, height];
  let left = values.reduce((n, v) => n + v, 0);
  const worst = (row, sum, side) => {
    const thick = sum / left * w * h_ / side;
    return Math.max(...row.map((v) => {
      const long = v / sum * side;
      return Math.max(long / thick, thick / long);
    }));
  };
  for (let i = 0; i < values.length;) {
    const side = Math.min(w, h_);
    let [row, sum] = [[values[i]], values[i]];
    while (i + row.length < values.length) {
      const v = values[i + row.length];
      if (worst([...row, v], sum + v, side) > worst(row, sum, side))
        break;
      row.push(v);
      sum += v;
    }
    const thick = sum / left * w * h_ / side;
    let at = 0;
    for (const v of row) {
      const long = v / sum * side;
      out.push(w >= h_ ? {x, y: y + at, w: thick, h: long} : {x: x + at, y, w: long, h: thick});
      at += long;
    }
    if (w >= h_)
      [x, w] = [x + thick, w - thick];
    else
      [y, h_] = [y + thick, h_ - thick];
    left -= sum;
    i += row.length;
  }
  return out;
}

function picture(all) {
  const some = all.filter((r) => r.size > 0);
  const places = squares(some.map((r) => r.size), 100, 100);
  return h('div', {class: 'treemap', role: 'list', 'aria-label': 'The largest repositories'}, some.map((r, i) => {
    const a = link(to.repository(r.name), {title: `${plain(r.name)}: ${size(r.size)}`}, text(r.name, {class: 'label'}), h('span', null, size(r.size)));
    const item = h('div', {role: 'listitem', class: `tile tone-${i % 6}${places[i].w < 12 || places[i].h < 12 ? ' small' : ''}`}, a);
    for (const [name, value] of [['left', places[i].x], ['top', places[i].y], ['width', places[i].w], ['height', places[i].h]])
      item.style.setProperty(name, `${value}%`);
    return item;
  }));
}

export async function storage(route, {signal}) {
  const s = await json('_storage', {scope: catalog, signal});
  const fact = (title, value, note) => h('div', {class: 'card number'}, h('span', {class: 'dim'}, title), h('strong', null, value), note ? h('span', {class: 'dim'}, note) : null);
  const number = (n) => n === null || n === undefined ? '–' : n.toLocaleString('en');
  const some = (n, what) => typeof n === 'number' ? count(n, what) : `– ${what}s`;
  const part = s.disk?.size ? 1 - s.disk.free / s.disk.size : 0;
  const bar = h('span', {class: 'bar-fill'});
  bar.style.setProperty('--part', String(part));
  return [
    heading('Storage', h('p', {class: 'summary'}, s.counted ? ['counted ', ago(s.counted)] : 'not counted yet')),
    h('div', {class: 'numbers-grid'},
      fact('Used by blobs', size(s.used), some(s.blobs, 'blob')), fact('Saved by sharing', size(s.saved), 'more without it'),
      fact('Repositories', number(s.repositories), some(s.tags, 'tag')), fact('Garbage that waits', number(s.garbage), 'blobs and manifests'),
      fact('Uploads', number(s.uploads), 'not finished'),
      s.disk ? h('div', {class: 'card number'}, h('span', {class: 'dim'}, 'Free on the disk'), h('strong', null, size(s.disk.free)), h('span', {class: 'bar-track', 'aria-hidden': 'true'}, bar), h('span', {class: 'dim'}, `of ${size(s.disk.size)}`)) : null),
    s.largest?.some((r) => r.size > 0) ? [h('h2', null, 'The largest repositories'), picture(s.largest)]
      : empty('Nothing to draw yet', 'The registry counts its repositories in the background.'),
  ];
}
