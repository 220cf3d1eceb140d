// Login, and what the user may do.

import {base, login, me, whoAmI} from './api.js';
import {h, icon, replace, text} from './dom.js';
import {empty, failed, heading} from './parts.js';

// A place in this page, to return to.
function target(query) {
  const path = base + (query.get('to') ?? '');
  return new URL(path, location.origin).pathname.startsWith(base) ? path : base;
}

export function loginScreen(route, {go, drawUser}) {
  if (me.login !== 'token')
    return empty('No login is needed', me.login === 'site' ? 'The web server in front of the registry knows its users.' : 'This registry has no users.');
  const message = h('p', {class: 'problem', role: 'alert'});
  const user = h('input', {name: 'user', autocomplete: 'username', required: true, autocapitalize: 'off', spellcheck: 'false', maxlength: 128});
  const password = h('input', {name: 'password', type: 'password', autocomplete: 'current-password', required: true});
  const stay = h('input', {type: 'checkbox', name: 'stay'});
  const button = h('button', {class: 'button primary'}, 'Log in');
  const form = h('form', {class: 'card login', action: base, method: 'post', onsubmit: async (event) => {
    event.preventDefault();
    button.disabled = true;
    message.textContent = '';
    try {
      await login(user.value, password.value, stay.checked);
      drawUser();
      go(target(route.query), {replaced: true});
    } catch (e) {
      replace(message, text(e.message), e.hint ? ` ${e.hint}` : null);
      password.value = '';
      password.focus();
    }
    button.disabled = false;
  }},
  icon('box'), h('h1', {tabindex: -1}, 'Log in'),
  h('label', null, 'User', user), h('label', null, 'Password', password),
  h('label', {class: 'check'}, stay, 'Stay logged in on this machine'),
  message, button,
  h('p', {class: 'dim'}, 'The password goes to the registry once, for a token. The page keeps only the token.'));
  if (location.protocol === 'http:' && !/^(localhost|127\.|\[::1\])/.test(location.host))
    form.append(h('p', {class: 'problem'}, 'This connection isn’t encrypted: others in the network can read the password.'));
  return form;
}

const rights = [
  ['pull', 'Pull', 'read tags, images and their files'],
  ['create', 'Create', 'push new tags'],
  ['overwrite', 'Overwrite', 'move tags that are there'],
  ['delete', 'Delete', 'delete tags and manifests'],
  ['admin', 'Administer', 'change rights'],
];

export function account() {
  const result = h('div', {'aria-live': 'polite'});
  const name = h('input', {name: 'repository', placeholder: 'team/app', autocomplete: 'off', spellcheck: 'false', 'aria-label': 'Repository', maxlength: 255});
  const form = h('form', {class: 'bar', onsubmit: async (event) => {
    event.preventDefault();
    try {
      const found = await whoAmI(name.value.trim());
      replace(result, found ? h('dl', {class: 'facts'}, rights.map(([key, title, what]) => [
        h('dt', null, icon(found[key] ? 'check' : 'lock'), title), h('dd', {class: found[key] ? '' : 'dim'}, found[key] ? `You may ${what}.` : `You may not ${what}.`)]))
        : failed({status: 0, message: 'The registry doesn’t tell.'}));
    } catch (e) {
      replace(result, failed(e));
    }
  }}, h('div', {class: 'field'}, icon('box'), name), h('button', {class: 'button'}, 'What may I do there?'));
  return [
    heading(me.user ? text(me.user) : 'Nobody'),
    h('p', null, me.user ? 'You are logged in.' : me.users ? 'You are not logged in.' : 'This registry has no users: everybody may do everything.',
      me.administrator ? ' You are an administrator.' : '', me.read_only ? ' The registry is read-only.' : ''),
    me.user && me.login === 'token' ? h('p', {class: 'dim'}, 'Logging out makes this page forget its token. The registry can’t take a token back: a copy of it ends when your password is changed, or after 90 days.') : null,
    h('h2', null, 'Rights on a repository'), form, result,
  ];
}
