// One search for repositories, tags, digests, labels and files.

import {catalog, lines, page, pull, request} from './api.js';
import {count, h, plain, replace, short, size, text} from './dom.js';
import {accept} from './manifest.js';
import {empty, failed, heading, link, rawOf, to} from './parts.js';

const REPOSITORIES = 500; // that are looked into before the user is asked whether to go on
const AT_ONCE = 6;

// What is on the way to the server as a pattern of file names.
const asGlob = (q) => /[*?[\]]/.test(q) ? q : q.includes('/') ? q.replace(/^\//, '') : q;

export function search(route, {signal}) {
  const q = (route.query.get('q') ?? '').trim();
  if (!q)
    return empty('Search everything', 'Names of repositories and tags, digests, labels, such as maintainer=ann, and names of files, such as log4j-core-*.jar.');
  const [, name, mark, ref] = /^(.+?)([:@])([^/]*)$/.exec(q) ?? [];
  const digest = /^(sha256:)?[0-9a-f]{12,64}$/.test(q) ? q : mark === '@' ? ref : null;
  // label:KEY, or KEY=VALUE, which no other name can be.
  const label = /^label:(.+)/.exec(q)?.[1] ?? (/^[^=/][^=]*=/.test(q) ? q : null);
  const part = (title) => {
    const body = h('div');
    const state = h('span', {class: 'dim', role: 'status'}, 'searching …');
    return {body, state, element: h('section', {class: 'card results'}, h('h2', null, title, ' ', state), body)};
  };
  const sections = [];
  const run = (title, work) => {
    const p = part(title);
    sections.push(p.element);
    work(p).catch((e) => {
      if (e.name !== 'AbortError') {
        p.state.textContent = '';
        replace(p.body, failed(e));
      }
    });
  };

  // ---- repositories ----

  async function repositories({body, state}) {
    let next = `_repositories?n=50&name=${encodeURIComponent(name ?? q)}`;
    let n = 0;
    const list = h('ul', {class: 'plain-list'});
    body.append(list);
    while (next !== null && n < 50) {
      const {body: got, next: then} = await page(next, {scope: catalog, signal});
      next = then;
      for (const r of got.repositories) {
        n++;
        list.append(h('li', null, link(to.repository(r.name), null, text(r.name)), h('span', {class: 'dim'}, ` ${count(r.tags, 'tag')}, ${size(r.size)}`),
          ref && mark === ':' ? [' ', link(to.image(r.name, ref), {class: 'chip'}, text(`${r.name}:${ref}`))] : null));
      }
    }
    state.textContent = n === 0 ? 'none' : next === null ? String(n) : `${n} and more`;
    if (next !== null)
      body.append(link(`${to.home()}?q=${encodeURIComponent(name ?? q)}`, {class: 'button'}, 'All of them'));
  }

  // ---- tags, or digests: in one repository after the other ----

  async function inEach({body, state}, look) {
    const list = h('ul', {class: 'plain-list'});
    const more = h('button', {type: 'button', class: 'button'}, 'Look further');
    body.append(list, more);
    let next = '_repositories?n=100' + (name ? `&name=${encodeURIComponent(name)}` : '');
    let [looked, found] = [0, 0];
    const some = async () => {
      more.hidden = true;
      const end = looked + REPOSITORIES;
      while (next !== null && looked < end) {
        const {body: got, next: then} = await page(next, {scope: catalog, signal});
        next = then;
        const todo = [...got.repositories];
        await Promise.all(Array.from({length: AT_ONCE}, async () => {
          for (let r; (r = todo.shift());) {
            for (const item of await look(r.name)) {
              found++;
              list.append(h('li', null, item));
            }
            looked++;
            state.textContent = `${found} in ${count(looked, 'repository', 'repositories')}`;
          }
        }));
      }
      state.textContent = `${found || 'none'} in ${count(looked, 'repository', 'repositories')}`;
      more.hidden = next === null;
    };
    more.addEventListener('click', () => some().catch((e) => e.name === 'AbortError' || replace(body, failed(e))));
    await some();
  }

  const tags = (p) => inEach(p, async (repository) => {
    const {body} = await page(`${repository}/_tags?n=10&name=${encodeURIComponent(mark === ':' ? ref : q)}`, {scope: pull(repository), signal});
    return body.tags.map((t) => [link(to.image(repository, t.name), null, text(`${repository}:${t.name}`)), h('span', {class: 'dim'}, ` ${size(t.size)}`)]);
  });

  const digests = (p) => inEach(p, async (repository) => {
    const full = digest.includes(':') ? digest : `sha256:${digest}`;
    if (/^sha256:[0-9a-f]{64}$/.test(full)) {
      try {
        await request(`${repository}/manifests/${full}`, {scope: pull(repository), signal, method: 'HEAD', headers: accept});
        return [[link(to.image(repository, full), null, text(repository)), h('span', {class: 'mono dim'}, ` ${short(full)}`)]];
      } catch (e) {
        if (e.status === 404)
          return [];
        throw e;
      }
    }
    const {body} = await page(`${repository}/_tags?n=1000`, {scope: pull(repository), signal});
    return body.tags.filter((t) => t.digest?.startsWith(full)).map((t) => [link(to.image(repository, t.name), null, text(`${repository}:${t.name}`)), h('span', {class: 'mono dim'}, ` ${short(t.digest)}`)]);
  });

  // ---- files in all images, and images with a label ----

  async function find({body, state}, query, show) {
    const list = h('ul', {class: 'plain-list'});
    const more = h('button', {type: 'button', class: 'button'}, 'Look further');
    body.append(list, more);
    let last = null;
    const unseen = h('p', {class: 'dim', hidden: true});
    body.append(unseen);
    let [found, images, skipped] = [0, 0, 0];
    const some = async () => {
      more.hidden = true;
      last = await (async () => {
        for await (const hit of lines(`_find?${query}&n=200${last === null ? '' : `&last=${encodeURIComponent(last)}`}`, {scope: catalog, signal})) {
          if (hit.repository === undefined) {
            images += hit.images ?? 0;
            skipped += hit.skipped ?? 0;
            unseen.textContent = `${count(skipped, 'image')} can’t be looked into: layers aren’t indexed yet, or are none of files.`;
            unseen.hidden = skipped === 0;
            return hit.more && hit.last !== last ? hit.last : null;
          }
          found++;
          list.append(h('li', null, show(hit)));
          state.textContent = `${found} …`;
        }
        return null;
      })();
      state.textContent = `${found || 'none'} in ${count(images, 'image')}${last === null ? '' : ' so far'}`;
      more.hidden = last === null;
    };
    more.addEventListener('click', () => some().catch((e) => e.name === 'AbortError' || replace(body, failed(e))));
    await some();
  }

  // The tag may be that of an index with several images.
  const imageOf = (hit) => [link(to.image(hit.repository, hit.tag || hit.digest), null, text(`${hit.repository}${hit.tag ? `:${hit.tag}` : ''}`)),
    hit.platform ? [' ', h('span', {class: 'chip'}, text(hit.platform, {max: 30}))] : null];

  const files = (p) => find(p, `name=${encodeURIComponent(asGlob(q))}`, (hit) => [
    link(`${to.image(hit.repository, hit.digest)}/files/${rawOf(hit)}`, {title: plain(hit.path)}, text(hit.path, {max: 400})),
    h('span', {class: 'dim'}, ' in '), imageOf(hit), hit.type === 'file' ? h('span', {class: 'dim'}, ` ${size(hit.size)}`) : null]);

  const labels = (p) => find(p, `label=${encodeURIComponent(label)}`, (hit) => [imageOf(hit), ' ', text(hit.label, {class: 'dim', max: 400})]);

  if (digest) {
    run('Digest', digests);
  } else {
    if (label)
      run('Labels', labels);
    if (!/[*?[\]=]/.test(q)) {
      run('Repositories', repositories);
      if (!q.includes('/') || mark === ':')
        run('Tags', tags);
    }
    run('Files', files);
    if (q.length < 250 && !/[*?[\]/]/.test(q))
      sections.push(h('p', {class: 'dim'}, 'These files have exactly this name. ', link(`${to.screen('search')}?q=${encodeURIComponent(`*${q}*`)}`, {class: 'button'}, 'Files with it in their name')));
  }
  return [heading(['Search: ', text(q, {max: 200})]), sections];
}
