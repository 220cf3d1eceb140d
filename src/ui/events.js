// Events as they happen.

import {ApiError, catalog, request} from './api.js';
import {ago, h, plain, replace, short, text} from './dom.js';
import {empty, failed, heading, link, to} from './parts.js';

const types = ['tag', 'untag', 'manifest', 'delete', 'image', 'layer', 'verify', 'damage'];
const KEPT = 500;

// Events since a number, or new ones only; goes on after a lost connection.
async function* stream(since, signal) {
  for (let tries = 0; ; tries++) {
    try {
      const response = await request(`../v1/events${since === null ? '' : `?since=${since}`}`, {scope: catalog, signal});
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      yield null; // connected
      tries = 0;
      let rest = '';
      for (;;) {
        const {value, done} = await reader.read();
        if (done)
          break;
        const parts = (rest + value).split('\n');
        rest = parts.pop();
        for (const line of parts)
          if (line !== '') {
            const event = JSON.parse(line);
            since = event.seq;
            yield event;
          }
      }
    } catch (e) {
      if (e.name === 'AbortError')
        return;
      if (e instanceof ApiError && e.status === 410)
        since = null;
      else if (e instanceof ApiError && e.status >= 400 && e.status < 500 || tries > 5)
        throw e;
    }
    await new Promise((resolve) => setTimeout(resolve, 1000 * Math.min(tries + 1, 5)));
    if (signal.aborted)
      return;
  }
}

export function events(route, {signal}) {
  const list = h('ol', {class: 'events', 'aria-label': 'Events, the newest first', 'aria-live': 'off'});
  const state = h('p', {class: 'summary', role: 'status'}, 'connecting …');
  const nothing = h('div', null, empty('Nothing yet', 'What happens from now on appears here.'));
  const chosen = new Set(['tag', 'untag', 'manifest', 'delete', 'image', 'damage']);
  let stopped = false;
  const waiting = [];

  const boxes = h('div', {class: 'bar', role: 'group', 'aria-label': 'Kinds of events'}, types.map((type) => {
    const box = h('input', {type: 'checkbox', onchange: () => {
      box.checked ? chosen.add(type) : chosen.delete(type);
      for (const li of list.children)
        li.hidden = !chosen.has(li.dataset.type);
    }});
    box.checked = chosen.has(type);
    return h('label', {class: 'check'}, box, type);
  }), h('button', {type: 'button', class: 'button', 'aria-pressed': 'false', onclick: (e) => {
    stopped = !stopped;
    e.currentTarget.setAttribute('aria-pressed', String(stopped));
    e.currentTarget.textContent = stopped ? 'Go on' : 'Hold';
    if (!stopped)
      waiting.splice(0).forEach(add);
  }}, 'Hold'));

  function add(event) {
    const {repository, digest} = event;
    const tag = event.type === 'tag' && /:([^:/]+)$/.exec(event.tag ?? '')?.[1];
    const at = repository && (event.type === 'tag' ? to.image(repository, tag || 'latest') : event.type === 'manifest' && digest ? to.image(repository, digest) : to.repository(repository));
    const li = h('li', {class: `event type-${types.includes(event.type) ? event.type : 'other'}`, 'data-type': plain(event.type)},
      h('span', {class: 'chip'}, text(event.type, {max: 20})),
      at ? link(at, {class: 'name'}, text(event.tag || repository, {max: 300})) : text(event.tag || event.id || '', {class: 'mono', max: 80}),
      digest ? h('span', {class: 'mono dim', title: digest}, short(digest)) : h('span'),
      h('span', {class: 'dim'}, ago(event.time), event.actor ? [' by ', text(event.actor, {max: 60})] : null));
    li.hidden = !chosen.has(event.type);
    list.prepend(li);
    while (list.childElementCount > KEPT)
      list.lastChild.remove();
    nothing.replaceChildren();
  }

  (async () => {
    try {
      for await (const event of stream(route.query.get('since'), signal)) {
        state.textContent = 'live';
        if (event && stopped)
          waiting.push(event), waiting.splice(0, waiting.length - KEPT);
        else if (event)
          add(event);
      }
    } catch (e) {
      state.textContent = 'not connected';
      replace(nothing, failed(e));
    }
  })();
  return [heading('Events', state), boxes, list, nothing];
}
