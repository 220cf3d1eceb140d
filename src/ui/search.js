// One search for repositories, tags, digests, labels and files.

import {catalog, lines, page, pull, request} from './api.js';
import {count, h, plain, replace, short, size, text} from './dom.js';
import {accept} from './manifest.js';
import {empty, failed, heading, link, loading, rawOf, to} from './parts.js';

const REPOSITORIES = 500; // that are looked into before the user is asked whether to go on
const AT_ONCE = 6;

// What is on the way to the server as a pattern of file names.
const asGlob = (q) => /[*?[\]]/.test(q) ? q : q.includes('/') ? q.replace(/^\//, '') : q;

export function search(route, {signal}) {
  const q = (route.query.get('q') ?? '').trim();
  if (!q)
    return empty('Search everything', 'Names of repositories and tags, digests, labels, such as maintainer=ann, and names of files, such as log4j-core-*.jar.');
  const alone = /^(sha256:)?[0-9a-f]{12,64}$|^sha512:[0-9a-f]{12,128}$/.test(q);
  const [, name, mark, ref] = (alone ? null : /^(.+?)([:@])([^/]*)$/.exec(q)) ?? [];
  const digest = alone ? q : mark === '@' ? ref : null;
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
    work(p);
  };

  // The results of a card, and below them its state: it waits, has found nothing (what), or failed.
  // ask (add) looks further, and gives whether there is still more; add (...) puts something into
  // the list, and gives its element. What was found stays when a later request fails.
  function results({body, state}, ask, what, foot = null) {
    const list = h('ul', {class: 'plain-list'});
    const now = h('div');
    const more = h('button', {type: 'button', class: 'button'}, 'Look further');
    const go = async () => {
      const timer = setTimeout(() => replace(now, loading('Searching …')), 120);
      more.hidden = true;
      replace(now);
      try {
        const further = await ask((...item) => list.appendChild(h('li', null, ...item)));
        clearTimeout(timer);
        more.hidden = !further;
        replace(now, list.firstChild ? null : further ? empty('Nothing so far', 'There is more to look at.') : empty('Nothing found', what));
      } catch (e) {
        clearTimeout(timer);
        if (e.name === 'AbortError')
          return;
        state.textContent = '';
        replace(now, failed(e, go));
      }
    };
    more.addEventListener('click', go);
    replace(body, list, now, more, foot);
    return go();
  }

  // ---- repositories ----

  function repositories(p) {
    let next = `_repositories?n=50&name=${encodeURIComponent(name ?? q)}`;
    let n = 0;
    const all = link(`${to.home()}?q=${encodeURIComponent(name ?? q)}`, {class: 'button', hidden: true}, 'All of them');
    return results(p, async (add) => {
      while (next !== null && n < 50) {
        const {body: got, next: then} = await page(next, {scope: catalog, signal});
        next = then;
        for (const r of got.repositories) {
          n++;
          add(link(to.repository(r.name), null, text(r.name)), h('span', {class: 'dim'}, ` ${count(r.tags, 'tag')}, ${size(r.size)}`),
            ref && mark === ':' ? [' ', link(to.image(r.name, ref), {class: 'chip'}, text(`${r.name}:${ref}`))] : null);
        }
      }
      p.state.textContent = n === 0 ? 'none' : next === null ? String(n) : `${n} and more`;
      all.hidden = next === null;
      return false;
    }, 'No repository has this in its name.', all);
  }

  // ---- tags, or digests: in one repository after the other ----

  function inEach(p, look, what) {
    let next = '_repositories?n=100' + (name ? `&name=${encodeURIComponent(name)}` : '');
    let [looked, found] = [0, 0];
    let todo = [];
    return results(p, async (add) => {
      const end = looked + REPOSITORIES;
      let broken = false;
      while (todo.length > 0 || (next !== null && looked < end)) {
        if (todo.length === 0) {
          const {body: got, next: then} = await page(next, {scope: catalog, signal});
          next = then;
          todo = [...got.repositories];
        }
        await Promise.all(Array.from({length: AT_ONCE}, async () => {
          for (let r; !broken && (r = todo.shift());) {
            let items;
            try {
              items = await look(r.name);
            } catch (e) {
              broken = true;
              todo.push(r); // for the next try
              throw e;
            }
            for (const item of items) {
              found++;
              add(item);
            }
            looked++;
            p.state.textContent = `${found} in ${count(looked, 'repository', 'repositories')}`;
          }
        }));
      }
      p.state.textContent = `${found || 'none'} in ${count(looked, 'repository', 'repositories')}`;
      return next !== null;
    }, what);
  }

  const tags = (p) => inEach(p, async (repository) => {
    const {body} = await page(`${repository}/_tags?n=10&name=${encodeURIComponent(mark === ':' ? ref : q)}`, {scope: pull(repository), signal});
    return body.tags.map((t) => [link(to.image(repository, t.name), null, text(`${repository}:${t.name}`)), h('span', {class: 'dim'}, ` ${size(t.size)}`)]);
  }, 'No tag has this in its name.');

  const digests = (p) => inEach(p, async (repository) => {
    const full = digest.includes(':') ? digest : `sha256:${digest}`;
    if (/^sha(256:[0-9a-f]{64}|512:[0-9a-f]{128})$/.test(full)) {
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
  }, 'No repository has it.');

  // ---- files in all images, and images with a label ----

  function find(p, query, show, what, reason) {
    const unseen = h('p', {class: 'dim', hidden: true});
    let last = null;
    let [found, images, skipped] = [0, 0, 0];
    let some = []; // of a page that hasn't come to its end
    return results(p, async (add) => {
      let end = null;
      some.forEach((element) => element.remove()); // they come again
      some = [];
      for await (const hit of lines(`_find?${query}&n=200${last === null ? '' : `&last=${encodeURIComponent(last)}`}`, {scope: catalog, signal})) {
        if (hit.repository === undefined) {
          end = hit;
          break;
        }
        some.push(add(...show(hit)));
        p.state.textContent = `${found + some.length} …`;
      }
      if (end === null)
        throw new Error('The answer of the registry was cut off.');
      found += some.length;
      some = [];
      images += end.images ?? 0;
      skipped += end.skipped ?? 0;
      unseen.textContent = `${count(skipped, 'image')} ${reason}`;
      unseen.hidden = skipped === 0;
      last = end.more && end.last !== last ? end.last : null;
      p.state.textContent = `${found || 'none'} in ${count(images, 'image')}${last === null ? '' : ' so far'}`;
      return last !== null;
    }, what, unseen);
  }

  // The tag may be that of an index with several images.
  const imageOf = (hit) => [link(to.image(hit.repository, hit.tag || hit.digest), null, text(`${hit.repository}${hit.tag ? `:${hit.tag}` : ''}`)),
    hit.platform ? [' ', h('span', {class: 'chip'}, text(hit.platform, {max: 30}))] : null];

  const files = (p) => find(p, `name=${encodeURIComponent(asGlob(q))}`, (hit) => [
    link(`${to.image(hit.repository, hit.digest)}/files/${rawOf(hit)}`, {title: plain(hit.path)}, text(hit.path, {max: 400})),
    h('span', {class: 'dim'}, ' in '), imageOf(hit), hit.type === 'file' ? h('span', {class: 'dim'}, ` ${size(hit.size)}`) : null],
  'No image has a file of this name.', 'can’t be looked into: layers aren’t indexed yet, or are none of files.');

  const labels = (p) => find(p, `label=${encodeURIComponent(label)}`, (hit) => [imageOf(hit), ' ', text(hit.label, {class: 'dim', max: 400})],
  'No image has this label.', 'can’t be searched by label: the config is missing, no JSON, or too large to be read (4 MiB, 10,000 values).');

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
    if (asGlob(q) !== '')
      run('Files', files);
    if (q.length < 250 && !/[*?[\]/]/.test(q))
      sections.push(h('p', {class: 'dim'}, 'These files have exactly this name. ', link(`${to.screen('search')}?q=${encodeURIComponent(`*${q}*`)}`, {class: 'button'}, 'Files with it in their name')));
  }
  return [heading(['Search: ', text(q, {max: 200})]), sections];
}
