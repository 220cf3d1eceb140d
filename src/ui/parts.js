// What screens are made of: links, states, tabs, things to copy.

import {base, me} from './api.js';
import {h, icon, replace, text} from './dom.js';

// ---- addresses of the page's own ----

// A path of the page: parts of names as they are in it, escaped.
export const escape = (path) => path.split('/').map(encodeURIComponent).join('/').replace(/%3A/g, ':').replace(/%40/g, '@');

export const to = {
  home: () => base,
  space: (prefix) => base + escape(prefix),
  repository: (name) => base + escape(name),
  image: (name, ref) => base + escape(name) + (ref.includes(':') ? '@' : ':') + ref,
  screen: (name) => `${base}_${name}`,
};

export function link(href, props, ...children) {
  return h('a', {href, ...props}, ...children);
}

// ---- names of files: bytes, which mostly are UTF-8 ----

const bytesOf = (b64) => Uint8Array.from(atob(b64), (c) => c.charCodeAt(0));

// A path as it stands in an address, without the slash in front.
export function rawOf(entry) {
  const bytes = entry.path_b64 ? bytesOf(entry.path_b64) : new TextEncoder().encode(entry.path);
  let out = '';
  for (const b of bytes) {
    const c = String.fromCharCode(b);
    out += /[\w./~-]/.test(c) ? c : '%' + b.toString(16).toUpperCase().padStart(2, '0');
  }
  return out.replace(/^\//, '');
}

// ---- screens ----

// A screen whose code is loaded when it is shown, or before, by its load().
export function later(load, name) {
  const screen = async (...args) => (await load())[name](...args);
  screen.load = () => load().catch(() => {}); // showing it will tell
  return screen;
}

// ---- states ----

export function loading(what = 'Loading …') {
  return h('div', {class: 'state', role: 'status'}, h('span', {class: 'spinner', 'aria-hidden': 'true'}), h('p', null, what));
}

export function empty(title, ...what) {
  return h('div', {class: 'state'}, icon('box'), h('h2', null, title), what.length ? h('p', null, ...what) : null);
}

// An error, and what to do about it.
export function failed(error, again) {
  const forbidden = error.status === 401 || error.status === 403;
  const nobody = forbidden && !me.user && me.login === 'token';
  const title = nobody ? 'Log in to see this' : forbidden ? 'You may not see this' : error.status === 404 ? 'Not found' : 'This did not work';
  const retry = again && !forbidden && error.status !== 404;
  return h('div', {class: forbidden ? 'state forbidden' : 'state error', role: 'alert'},
    icon(forbidden ? 'lock' : 'alert'),
    h('h2', null, title),
    h('p', null, text(error.message ?? error)),
    error.hint && !nobody ? h('p', {class: 'dim'}, text(error.hint)) : null,
    forbidden && me.user ? h('p', {class: 'dim'}, 'You are logged in as ', text(me.user), '. An administrator of the registry can give you the right.') : null,
    h('p', {class: 'buttons'},
      nobody ? link(`${to.screen('login')}?to=${encodeURIComponent(location.pathname.slice(base.length) + location.search)}`, {class: 'button primary'}, 'Log in') : null,
      retry ? h('button', {type: 'button', class: 'button', onclick: again}, 'Try again') : null));
}

// Shows the waiting, then what the promise gives, or its error.
export async function fill(element, work, {what, signal} = {}) {
  const timer = setTimeout(() => replace(element, loading(what)), 120);
  try {
    const content = await work();
    clearTimeout(timer);
    if (!signal?.aborted)
      replace(element, content);
  } catch (e) {
    clearTimeout(timer);
    if (e.name !== 'AbortError' && !signal?.aborted)
      replace(element, failed(e, () => fill(element, work, {what, signal})));
    if (!('status' in e) && e.name !== 'AbortError')
      console.error(e);
  }
}

// ---- small things ----

// Tells everybody, also those who don't see the page.
export function say(message) {
  const place = document.getElementById('toast');
  place.textContent = message;
  place.classList.add('on');
  clearTimeout(say.timer);
  say.timer = setTimeout(() => place.classList.remove('on'), 2500);
}

async function toClipboard(value) {
  if (navigator.clipboard)
    return navigator.clipboard.writeText(value);
  // Without TLS there is only the old way.
  const area = h('textarea', {class: 'offscreen', 'aria-hidden': 'true'});
  area.value = value;
  document.body.append(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  if (!done)
    throw new Error('copy');
}

export function copyButton(value, what) {
  const button = h('button', {type: 'button', class: 'icon-button', 'aria-label': `Copy ${what}`, title: `Copy ${what}`}, icon('copy'));
  button.addEventListener('click', async () => {
    try {
      await toClipboard(value);
      replace(button, icon('check'));
      say(`Copied ${what}`);
      setTimeout(() => replace(button, icon('copy')), 1500);
    } catch {
      say('The browser doesn’t let this page copy');
    }
  });
  return button;
}

export function tabs(label, all) {
  const nav = h('nav', {class: 'tabs', 'aria-label': label},
    all.filter(Boolean).map(([title, href, current]) => link(href, {'aria-current': current ? 'page' : null}, title)));
  // On a narrow screen the current one may be beyond the edge.
  requestAnimationFrame(() => {
    const current = nav.querySelector('[aria-current]');
    if (current)
      nav.scrollLeft += Math.max(0, current.getBoundingClientRect().right - nav.getBoundingClientRect().right);
  });
  return nav;
}

export function crumbs(...all) {
  return h('nav', {class: 'crumbs', 'aria-label': 'Where you are'},
    h('ol', null, all.map(([content, href]) => h('li', null, href ? link(href, null, content) : content))));
}

export function nameCrumbs(name, last) {
  const parts = name.split('/');
  return crumbs(['Repositories', base],
    ...parts.map((part, i) => [text(part),
      i < parts.length - 1 ? to.space(parts.slice(0, i + 1).join('/') + '/') : last === undefined ? null : to.repository(name)]),
    ...(last === undefined ? [] : [[last, null]]));
}

export function heading(content, ...more) {
  return h('div', {class: 'heading'}, h('h1', {tabindex: -1}, content), ...more);
}

// A field that calls back when the typing pauses.
export function filterField(label, value, changed) {
  const input = h('input', {type: 'search', placeholder: label, 'aria-label': label, autocomplete: 'off', spellcheck: 'false', maxlength: 255});
  let timer;
  input.value = value;
  input.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(() => changed(input.value.trim()), 150);
  });
  return h('div', {class: 'field'}, icon('search'), input);
}

// A question in a dialog; resolves to whether it was confirmed.
export function ask(title, confirm, ...content) {
  return new Promise((resolve) => {
    const dialog = h('dialog', {'aria-label': title},
      h('form', {method: 'dialog'},
        h('h2', null, title), content,
        h('div', {class: 'buttons'},
          h('button', {class: 'button', value: 'no'}, 'Cancel'),
          h('button', {class: 'button danger', value: 'yes'}, confirm))));
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue === 'yes');
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
