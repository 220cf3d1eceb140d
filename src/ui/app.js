// The frame of the page: which screen an address means, links, focus, login and theme.

import {base, begin, isSameLogin, logout, me, settings} from './api.js';
import {h, icon, plain, replace, text} from './dom.js';
import {failed, fill, later, link, to} from './parts.js';
import {repositories} from './repositories.js';

// The list of repositories comes at once, and the code of other screens when it is wanted.
const repository = later(() => import('./tags.js'), 'repository');
const image = later(() => import('./image.js'), 'image');
const own = {
  login: later(() => import('./account.js'), 'loginScreen'),
  me: later(() => import('./account.js'), 'account'),
  search: later(() => import('./search.js'), 'search'),
  storage: later(() => import('./storage.js'), 'storage'),
  events: later(() => import('./events.js'), 'events'),
  hooks: later(() => import('./hooks.js'), 'hooks'),
};
const titles = {login: 'Log in', me: 'What you may do', search: 'Search', storage: 'Storage', events: 'Events', hooks: 'Hooks'};

// ---- addresses ----

// What an address means. The first part with a : or @ has the tag or the digest; what follows it
// belongs to the image, and is left escaped, because names of files may be no UTF-8.
export function parse(pathname, search) {
  const query = new URLSearchParams(search);
  const raw = pathname.slice(base.length);
  if (raw.startsWith('_')) {
    const [name, ...rest] = raw.slice(1).split('/');
    return {screen: Object.hasOwn(own, name) ? own[name] : nowhere, own: name, rest, query};
  }
  const parts = raw.split('/');
  const at = parts.findIndex((part) => /[:@]/.test(decode(part)));
  if (at < 0) {
    const name = parts.map(decode).join('/');
    return name === '' || name.endsWith('/') ? {screen: repositories, prefix: name, query} : {screen: repository, name, rest: [], query};
  }
  const last = decode(parts[at]);
  const mark = last.search(/[:@]/);
  return {
    screen: image,
    name: [...parts.slice(0, at).map(decode), last.slice(0, mark)].join('/'),
    ref: last.slice(mark + 1),
    rest: parts.slice(at + 1),
    query,
  };
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function nowhere() {
  return failed({status: 404, message: 'This page has no such screen.'});
}

// ---- the frame ----

const main = h('main', {id: 'main'});
const user = h('div', {class: 'user'});
const nav = h('nav', {class: 'main-nav', 'aria-label': 'Main'});

function drawUser() {
  replace(user, me.user
    ? [link(to.screen('me'), {class: 'button quiet', title: 'What you may do'}, icon('user'), text(me.user, {max: 40})),
      me.login === 'token' ? h('button', {type: 'button', class: 'button quiet', title: 'This page forgets the login', onclick: async () => {
        await logout();
        drawUser();
        show(false);
      }}, 'Log out') : null]
    : me.login === 'token'
      ? link(`${to.screen('login')}`, {class: 'button'}, 'Log in')
      : null);
  const all = [['Repositories', base], ['Events', to.screen('events')], ...(me.administrator ? [['Storage', to.screen('storage')], ['Hooks', to.screen('hooks')]] : [])];
  replace(nav, all.map(([title, href]) => link(href, {'data-nav': href}, title)));
  markNav();
}

function markNav() {
  const here = location.pathname;
  for (const a of nav.children) {
    const current = a.dataset.nav === base ? !here.slice(base.length).startsWith('_') : here === a.dataset.nav;
    current ? a.setAttribute('aria-current', 'page') : a.removeAttribute('aria-current');
  }
}

function themeButton() {
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const isDark = () => document.documentElement.dataset.theme === 'dark';
  const button = h('button', {type: 'button', class: 'icon-button', title: 'Light or dark', 'aria-label': 'Dark theme'}, icon('sun'));
  const tell = () => button.setAttribute('aria-pressed', String(isDark()));
  button.addEventListener('click', () => {
    const theme = isDark() ? 'light' : 'dark';
    document.documentElement.dataset.theme = theme;
    settings.set('theme', theme === (dark.matches ? 'dark' : 'light') ? null : theme);
    tell();
  });
  dark.addEventListener('change', tell);
  tell();
  return button;
}

// One field for all that can be looked for.
function searchField() {
  const input = h('input', {type: 'search', name: 'q', placeholder: 'Search everything', 'aria-label': 'Search repositories, tags, digests, labels and files', autocomplete: 'off', spellcheck: 'false', maxlength: 255});
  return h('form', {class: 'top-search', role: 'search', onsubmit: (e) => {
    e.preventDefault();
    const q = input.value.trim();
    if (q)
      go(`${to.screen('search')}?q=${encodeURIComponent(q)}`);
  }}, h('div', {class: 'field'}, icon('search'), input));
}

function frame() {
  document.body.replaceChildren(
    h('a', {class: 'skip', href: '#main'}, 'To the content'),
    h('header', {class: 'top'},
      link(base, {class: 'brand', 'aria-label': 'Registry, start'}, icon('box'), h('span', null, location.host)),
      nav, h('div', {class: 'spring'}), searchField(), user, themeButton()),
    main,
    h('div', {id: 'toast', class: 'toast', role: 'status', 'aria-live': 'polite'}));
}

// ---- going from screen to screen ----

let leave = new AbortController();

export async function show(focus = true) {
  leave.abort();
  leave = new AbortController();
  const {signal} = leave;
  const route = parse(location.pathname, location.search);
  document.title = `${plain(titleOf(route))} – ${location.host}`;
  markNav();
  await fill(main, () => route.screen(route, {signal, go, redraw: () => show(false), drawUser}), {signal});
  if (signal.aborted)
    return;
  const scroll = history.state?.scroll ?? 0;
  scrollTo({top: scroll});
  if (focus)
    main.querySelector('h1')?.focus({preventScroll: true});
}

function titleOf({own: screen, name, ref, prefix}) {
  if (name)
    return ref ? `${name}${ref.includes(':') ? '@' : ':'}${ref}` : name;
  return prefix || (screen === undefined ? 'Repositories' : titles[screen] ?? 'Nowhere');
}

// To another address; replaced: the present one doesn't stay in the history.
export function go(href, {replaced = false, quiet = false} = {}) {
  if (href === location.pathname + location.search)
    return;
  if (replaced) {
    history.replaceState(history.state, '', href);
  } else {
    history.replaceState({...history.state, scroll: scrollY}, '');
    history.pushState({}, '', href);
  }
  if (!quiet)
    show();
}

document.addEventListener('click', (event) => {
  const a = event.target.closest('a[href]');
  if (!a || event.defaultPrevented || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || a.hasAttribute('download'))
    return;
  const url = new URL(a.href);
  if (url.origin !== location.origin || !url.pathname.startsWith(base) || a.getAttribute('href').startsWith('#'))
    return;
  event.preventDefault();
  go(url.pathname + url.search);
});
addEventListener('popstate', () => show());
// Back shows a page as it was, before a logout as well; other tabs learn of one by the storage.
for (const type of ['pageshow', 'storage'])
  addEventListener(type, () => isSameLogin() || location.reload());
// / goes to the field of the screen, as in many programs.
document.addEventListener('keydown', (event) => {
  if (event.key === '/' && !event.ctrlKey && !event.metaKey && !/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) {
    const field = document.querySelector('main input[type=search]') ?? document.querySelector('input[type=search]');
    if (field) {
      event.preventDefault();
      field.focus();
    }
  }
});

history.scrollRestoration = 'manual';
addEventListener('pagehide', () => history.replaceState({...history.state, scroll: scrollY}, ''));

frame();
parse(location.pathname, location.search).screen.load?.();
try {
  await begin();
  drawUser();
  await show(false);
} catch (e) {
  replace(main, failed(e, () => location.reload()));
}
