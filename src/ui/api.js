// The registry's API: addresses, tokens, pages of lists, errors.

// An address that begins with // would name another host in each link and request of the page.
if (location.pathname.startsWith('//')) {
  location.replace(location.origin + location.pathname.replace(/^\/+/, '/') + location.search);
  await new Promise(() => {});
}

const at = location.pathname.indexOf('/ui/');

// The address of this page, and of the API, which is beside it. Both may be below a path.
export const base = at < 0 ? '/ui/' : location.pathname.slice(0, at + 4);
let api = base.slice(0, -3) + 'v2/';

export class ApiError extends Error {
  constructor(status, code, message, hint) {
    super(message);
    Object.assign(this, {status, code, hint});
  }
}

// Who uses the page. login: token, site (the web server in front asks for passwords), none.
export const me = {user: '', users: false, login: 'none', administrator: false, read_only: false};

const tokens = new Map(); // by scope
const stores = [() => sessionStorage, () => localStorage];

// Storage may be forbidden; the login then lasts as long as the page.
const kept = {};
function read(name) {
  for (const store of stores)
    try {
      const value = store().getItem(name);
      if (value)
        return value;
    } catch {
      // as if it were empty
    }
  return kept[name] ?? null;
}

function write(name, value, stay) {
  delete kept[name];
  stores.forEach((store, i) => {
    const here = value && i === (stay ? 1 : 0);
    try {
      if (here)
        store().setItem(name, value);
      else
        store().removeItem(name);
    } catch {
      if (here)
        kept[name] = value;
    }
  });
}

export const settings = {
  get(name) {
    return read(name);
  },
  set(name, value) {
    write(name, value, true);
  },
};

let shownLogin = read('refresh');

// Another page of this browser may have ended the login that this one knows, or begun another.
export const isSameLogin = () => read('refresh') === shownLogin;

// ---- requests ----

async function errorOf(response) {
  let code = '', message = '', hint = '';
  try {
    const body = await response.json();
    const first = body.errors?.[0];
    code = first?.code ?? '';
    message = first?.message ?? body.error ?? '';
    hint = first?.detail?.hint ?? '';
  } catch {
    // not ours: the status has to do
  }
  return new ApiError(response.status, code, message || `The registry answered with status ${response.status}.`, hint);
}

async function send(path, options) {
  try {
    // The address of the page may have a password in it, which a request must not have.
    return await fetch(location.origin + api + path, {
      cache: 'no-cache',
      redirect: 'error',
      referrerPolicy: 'no-referrer',
      // A password of the browser's own is for a site that asks for it.
      credentials: me.login === 'token' ? 'omit' : 'same-origin',
      ...options,
    });
  } catch (e) {
    if (e.name === 'AbortError')
      throw e;
    throw new ApiError(0, 'UNREACHABLE', 'The registry can’t be reached.', 'Is it running, and is the network there?');
  }
}

// A token for a scope, with the login if there is one. undefined: none is given for it.
async function token(scope, signal) {
  const known = tokens.get(scope);
  if (known && known.until > Date.now())
    return known.token;
  const refresh = read('refresh');
  const query = new URLSearchParams({service: 'docker-registry-server', scope});
  const response = refresh
    ? await send('_token', {method: 'POST', signal, body: new URLSearchParams({grant_type: 'refresh_token', refresh_token: refresh,
      service: 'docker-registry-server', client_id: 'page', scope})})
    : await send(`_token?${query}`, {signal});
  if (response.status === 401 && refresh) {
    forget();
    throw new ApiError(401, 'UNAUTHORIZED', 'The login has ended.', 'Log in again.');
  }
  if (response.status === 401)
    return undefined;
  if (!response.ok)
    throw await errorOf(response);
  const answer = await response.json();
  if (tokens.size > 200)
    tokens.clear();
  tokens.set(scope, {token: answer.token, until: Date.now() + (answer.expires_in - 20) * 1000});
  return answer.token;
}

const pause = (ms, signal) => new Promise((resolve, reject) => {
  const timer = setTimeout(resolve, ms);
  signal?.addEventListener('abort', () => {
    clearTimeout(timer);
    reject(new DOMException('', 'AbortError'));
  });
});

// The answer to a request, or an ApiError. Options: scope, method, headers, signal, waiting (called
// when the registry asks for patience).
export async function request(path, {scope, waiting, headers = {}, ...options} = {}) {
  for (let tries = 0; ; tries++) {
    const sent = {...headers};
    if (me.login === 'token' && scope) {
      const t = await token(scope, options.signal);
      if (t)
        sent.Authorization = `Bearer ${t}`;
    }
    const response = await send(path, {...options, headers: sent});
    if (response.ok)
      return response;
    if (response.status === 401 && me.login === 'token' && tokens.delete(scope) && tries === 0)
      continue;
    const wait = Number(response.headers.get('Retry-After'));
    if ((response.status === 503 || response.status === 429) && wait > 0 && tries < 8 && !options.method) {
      waiting?.();
      await pause(Math.min(wait, 5) * 1000, options.signal);
      continue;
    }
    throw await errorOf(response);
  }
}

export async function json(path, options) {
  return (await request(path, options)).json();
}

// One page of a list: its document, and the path of the next one or null. Of Link only the query
// counts, because the registry may be known by another address.
export async function page(path, options) {
  const response = await request(path, options);
  const next = /<[^>?]*\?([^>]*)>\s*;\s*rel="?next"?/.exec(response.headers.get('Link') ?? '');
  return {body: await response.json(), next: next ? `${path.split('?')[0]}?${next[1]}` : null};
}

// Lines of JSON as they arrive.
export async function* lines(path, options) {
  const reader = (await request(path, options)).body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  try {
    for (;;) {
      const {value, done} = await reader.read();
      const parts = (rest + (value ?? '')).split('\n');
      rest = done ? '' : parts.pop();
      for (const line of parts)
        if (line !== '')
          yield JSON.parse(line);
      if (done)
        return;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

export const pull = (name) => `repository:${name}:pull`;
export const catalog = 'registry:catalog:*';

// ---- who ----

// Finds out how this registry knows its users, and whether its API is beside this page at all: below
// a path it may be at the root.
export async function begin() {
  let response = await send('', {});
  if (!response.headers.get('Docker-Distribution-Api-Version') && api !== '/v2/') {
    const below = api;
    api = '/v2/';
    response = await send('', {});
    if (!response.headers.get('Docker-Distribution-Api-Version'))
      api = below;
  }
  const challenge = response.headers.get('WWW-Authenticate') ?? '';
  me.login = /^Bearer /i.test(challenge) ? 'token' : response.status === 401 ? 'site' : 'none';
  me.users = me.login !== 'none';
  me.user = me.login === 'token' ? read('user') ?? '' : '';
  await whoAmI();
}

// What the registry knows of its caller; rights for one repository if it is named.
export async function whoAmI(name) {
  const path = '_me' + (name ? `?repository=${encodeURIComponent(name)}` : '');
  try {
    const answer = await json(path, {scope: me.user ? catalog : undefined});
    const {repository, ...rest} = answer;
    Object.assign(me, rest);
    return repository ?? null;
  } catch (e) {
    if (e.name === 'AbortError')
      throw e;
    return null;
  }
}

export async function login(user, password, stay) {
  const bytes = new TextEncoder().encode(`${user}:${password}`);
  const response = await send('_token?service=docker-registry-server&offline_token=true&client_id=page', {
    headers: {Authorization: 'Basic ' + btoa(String.fromCharCode(...bytes))},
    credentials: 'omit',
  });
  if (response.status === 401)
    throw new ApiError(401, 'UNAUTHORIZED', 'The user name or the password is wrong.', '');
  if (!response.ok)
    throw await errorOf(response);
  const answer = await response.json();
  tokens.clear();
  write('refresh', answer.refresh_token, stay);
  write('user', user, stay);
  shownLogin = answer.refresh_token;
  me.user = user;
  await whoAmI();
}

function forget() {
  tokens.clear();
  write('refresh', null);
  write('user', null);
  shownLogin = null;
  Object.assign(me, {user: '', administrator: false});
}

export async function logout() {
  forget();
  await whoAmI();
}

// ---- downloads ----

// A browser sends no token with a link, so with tokens the bytes come by a request of ours.
export async function download(path, file, scope, progress) {
  let href = location.origin + api + path;
  const a = document.createElement('a');
  if (me.login === 'token') {
    const response = await request(path, {scope});
    const parts = [];
    let n = 0;
    const reader = response.body.getReader();
    for (;;) {
      const {value, done} = await reader.read();
      if (done)
        break;
      parts.push(value);
      n += value.length;
      progress?.(n);
    }
    href = URL.createObjectURL(new Blob(parts, {type: 'application/octet-stream'}));
    setTimeout(() => URL.revokeObjectURL(href), 60000);
  }
  a.href = href;
  a.download = file;
  a.click();
}
