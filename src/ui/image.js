// An image: its platforms, how to pull it, what made its layers, its configuration.

import {download, json, pull, request} from './api.js';
import {count, h, plain, replace, short, size, ago, text, words} from './dom.js';
import {choosePlatform, configOf, isIndex, isPlatform, manifestOf, platformName} from './manifest.js';
import {copyButton, empty, fill, heading, later, link, nameCrumbs, tabs, to} from './parts.js';
import {part, preview} from './preview.js';

const diff = later(() => import('./diff.js'), 'diff');
const files = later(() => import('./files.js'), 'files');
const hidden = later(() => import('./hidden.js'), 'hidden');
const history = later(() => import('./history.js'), 'history');
const packages = later(() => import('./packages.js'), 'packages');
const referrers = later(() => import('./referrers.js'), 'referrers');
const screens = {'': layers, config, files, packages, referrers, history, diff, hidden};

export async function image(route, context) {
  const {name, ref, rest} = route;
  if (Object.hasOwn(screens, rest[0] ?? ''))
    screens[rest[0] ?? ''].load?.();
  if (rest[0] === 'history' && !ref.includes(':'))
    return historyAlone(route, context);
  return shown(route, context, await manifestOf(name, ref, context));
}

async function shown(route, context, whole) {
  const {name, ref, rest, query} = route;
  const {signal} = context;
  const platforms = isIndex(whole.body) ? whole.body.manifests.filter(isPlatform) : [];
  const one = platforms.length ? choosePlatform(platforms, query.get('platform')) : null;
  const manifest = one ? await manifestOf(name, one.digest, context) : whole;
  const home = to.image(name, ref);
  const chosen = one && query.get('platform') ? `?platform=${encodeURIComponent(platformName(one.platform))}` : '';
  const it = {
    ...route, home, whole, manifest, chosen, signal,
    isImage: !isIndex(manifest.body) && Array.isArray(manifest.body.layers) && /image|container/.test(manifest.body.config?.mediaType ?? ''),
    config: await configOf(name, manifest.body.config, context),
    // What the parts of the API that look into images are asked for.
    inside: `${name}/_image/${manifest.digest}`,
  };
  const current = rest[0] ?? '';
  const body = h('div', {class: 'screen'});
  if (Object.hasOwn(screens, current))
    await fill(body, () => screens[current](it, context), {signal});
  else
    replace(body, empty('There is nothing here'));
  return [
    nameCrumbs(name, text(ref.includes(':') ? short(ref) : ref)),
    heading([text(name), h('span', {class: 'dim'}, ref.includes(':') ? '@' : ':'), text(ref.includes(':') ? short(ref) : ref)],
      copyButton(`${location.host}/${name}${ref.includes(':') ? '@' : ':'}${ref}`, 'reference')),
    facts(it),
    platforms.length > 1 ? platformPicker(platforms, one, home + (current ? `/${rest.join('/')}` : '')) : null,
    tabs('Parts of the image', [
      [it.isImage ? 'Layers' : 'Content', home + chosen, current === ''],
      it.isImage ? ['Files', `${home}/files/${chosen}`, current === 'files'] : null,
      it.isImage ? ['Packages', `${home}/packages${chosen}`, current === 'packages'] : null,
      ['Configuration', `${home}/config${chosen}`, current === 'config'],
      ['Referrers', `${home}/referrers${chosen}`, current === 'referrers'],
      ref.includes(':') ? null : ['History', `${home}/history`, current === 'history'],
      current === 'hidden' ? ['Hidden files', location.pathname + location.search, true] : null,
      current === 'diff' ? ['Differences', location.pathname + location.search, true] : null,
    ]),
    body,
  ];
}

// The history of a tag, which may be deleted.
async function historyAlone(route, context) {
  const {name, ref} = route;
  const whole = await manifestOf(name, ref, context).catch((e) => {
    if (e.status !== 404)
      throw e;
    return null;
  });
  if (whole)
    return shown(route, context, whole);
  const body = h('div');
  await fill(body, () => history(route, context), context);
  return [nameCrumbs(name, text(ref)), heading([text(name), h('span', {class: 'dim'}, ':'), text(ref), ' ', h('span', {class: 'badge'}, 'deleted')]), body];
}

function facts({whole, manifest, config: c, chosen, isImage}) {
  const total = [manifest.body.config, ...(manifest.body.layers ?? [])].reduce((n, part) => n + (part?.size ?? 0), 0);
  return h('dl', {class: 'line'},
    h('div', null, h('dt', null, 'Digest'), h('dd', {class: 'mono'}, h('span', {title: whole.digest}, short(whole.digest)), copyButton(whole.digest, 'digest'))),
    whole === manifest ? null : h('div', null, h('dt', null, chosen ? 'This platform' : 'Shown platform'), h('dd', {class: 'mono'}, h('span', {title: manifest.digest}, short(manifest.digest)), copyButton(manifest.digest, 'digest of the platform'))),
    isImage ? h('div', null, h('dt', null, 'Platform'), h('dd', null, text(c ? platformName(c) : '–', {max: 60}))) : null,
    h('div', null, h('dt', null, 'Size'), h('dd', null, size(total))),
    c?.created ? h('div', null, h('dt', null, 'Made'), h('dd', null, ago(c.created))) : null,
    manifest.body.artifactType ? h('div', null, h('dt', null, 'Type'), h('dd', null, text(manifest.body.artifactType, {max: 100}))) : null);
}

function platformPicker(all, one, href) {
  return h('nav', {class: 'chips', 'aria-label': 'Platforms'}, all.map((m) => link(`${href}?platform=${encodeURIComponent(platformName(m.platform))}`,
    {class: 'chip', 'aria-current': m === one ? 'true' : null}, text(platformName(m.platform), {max: 60}))));
}

function commands({name, ref, manifest, whole}) {
  const host = location.host;
  const at = `${host}/${name}${ref.includes(':') ? '@' : ':'}${ref}`;
  const fixed = `${host}/${name}@${whole.digest}`;
  const flag = location.protocol === 'http:' ? ' --tls-verify=false' : '';
  const all = [['docker', `docker pull ${at}`], ['podman', `podman pull${flag} ${at}`], ['By digest', `docker pull ${fixed}`]];
  if (manifest !== whole)
    all.push(['This platform', `docker pull ${host}/${name}@${manifest.digest}`]);
  return h('section', {class: 'card commands'}, h('h2', null, 'Pull'), all.map(([title, command]) =>
    h('div', {class: 'command'}, h('span', {class: 'dim'}, title), h('code', {tabindex: 0, role: 'group', 'aria-label': `${title}: command`}, plain(command)), copyButton(command, `command for ${title}`))));
}

// ---- layers, and the history that tells what made them ----

async function layers(it, context) {
  const {manifest, inside, isImage, home} = it;
  if (!isImage)
    return [commands(it), content(it)];
  const history = h('section', {class: 'card'});
  fill(history, async () => {
    const steps = await json(`${inside}/history`, {scope: pull(it.name), signal: context.signal});
    const most = Math.max(1, ...steps.map((s) => s.size ?? 0));
    const hidden = steps.reduce((n, s) => n + (s.hidden_bytes ?? 0), 0);
    let n = -1;
    return [
      h('h2', null, 'Layers'),
      h('p', {class: 'dim'}, `${count(steps.filter((s) => !s.empty).length, 'layer')} of ${count(steps.length, 'step')}`,
        hidden > 0 ? [', ', h('strong', null, size(hidden)), ' in files that later layers replace or remove'] : null),
      h('ol', {class: 'steps'}, steps.map((step) => {
        if (!step.empty)
          n++;
        const bar = h('span', {class: 'bar-fill'});
        bar.style.setProperty('--part', String((step.size ?? 0) / most));
        return h('li', {class: step.empty ? 'step empty' : 'step'},
          h('span', {class: 'number'}, step.empty ? '' : String(n)),
          text(step.created_by || 'unknown', {tag: 'code', class: 'made', lines: true, max: 2000}),
          h('span', {class: 'size'}, step.empty ? h('span', {class: 'dim'}, 'no layer') : [size(step.size), h('span', {class: 'bar-track', 'aria-hidden': 'true'}, bar)]),
          h('span', {class: 'waste'}, step.hidden_bytes > 0 ? link(`${home}/hidden/${n}${it.chosen}`, null, `${size(step.hidden_bytes)} hidden`) : ''),
          h('span', {class: 'layer-files'}, step.empty ? null : step.files === null ? h('span', {class: 'dim'}, 'can’t be looked into')
            : link(`${home}/files/?layer=${n}${it.chosen.replace('?', '&')}`, {title: step.digest}, count(step.files, 'file'))));
      })),
    ];
  }, {what: 'Looking into the layers …', signal: context.signal});
  return [commands(it), history, manifest.body.annotations ? annotations(manifest.body.annotations) : null];
}

function annotations(all) {
  return h('section', {class: 'card'}, h('h2', null, 'Annotations'), pairs(Object.entries(all)));
}

function pairs(all) {
  return h('dl', {class: 'pairs'}, all.map(([key, value]) => [h('dt', null, text(key, {max: 500})), h('dd', null, text(typeof value === 'string' ? value : JSON.stringify(value), {max: 5000, lines: true}))]));
}

// What is no image: an index without platforms, an artifact. Its parts can be opened.
function content({manifest, name, signal}) {
  const all = manifest.body.manifests ?? manifest.body.layers ?? [];
  const title = (d) => d.annotations?.['org.opencontainers.image.title'] ?? d.artifactType ?? d.mediaType ?? '';
  const item = (d) => {
    if (manifest.body.manifests)
      return h('li', null, link(to.image(name, d.digest), {class: 'mono'}, short(d.digest)), ' ', text(title(d), {max: 200}), ' ', h('span', {class: 'dim'}, size(d.size)));
    const inside = h('div', {class: 'preview'});
    const open = h('details', {ontoggle: () => {
      if (open.open && !inside.childElementCount)
        preview(inside, async (from, n) => part(await request(`${name}/blobs/${d.digest}`, {scope: pull(name), signal, headers: {Range: `bytes=${from}-${from + n - 1}`}})));
    }}, h('summary', null, text(title(d), {max: 200}), ' ', h('span', {class: 'mono dim', title: plain(d.digest)}, short(String(d.digest))), ' ', h('span', {class: 'dim'}, size(d.size))),
    h('p', null, h('button', {type: 'button', class: 'button', onclick: () => download(`${name}/blobs/${d.digest}`, plain(title(d)).replace(/[^\w.-]+/g, '_') || 'blob', pull(name))}, 'Download')), inside);
    return h('li', null, open);
  };
  return [h('section', {class: 'card'}, h('h2', null, 'Content'), all.length === 0 ? h('p', {class: 'dim'}, 'Nothing.') : h('ul', {class: 'plain-list'}, all.map(item))),
    manifest.body.annotations ? annotations(manifest.body.annotations) : null];
}

// ---- the configuration ----

function config(it) {
  const c = it.config?.config ?? {};
  const list = (v) => (Array.isArray(v) ? v : v === undefined || v === null ? [] : [v]).map(words);
  const keys = (v) => (v && typeof v === 'object' ? Object.keys(v) : []);
  const command = (v) => list(v).map((word) => (/[^\w@%+=:,./-]/.test(word) || word === '' ? JSON.stringify(word) : word)).join(' ');
  const rows = [
    ['Entry point', command(c.Entrypoint)], ['Command', command(c.Cmd)], ['User', c.User ?? ''], ['Working directory', c.WorkingDir ?? ''],
    ['Ports', keys(c.ExposedPorts).join(', ')], ['Volumes', keys(c.Volumes).join(', ')], ['Stop signal', c.StopSignal ?? ''], ['Author', it.config?.author ?? ''],
  ].filter(([, value]) => value !== '');
  const env = list(c.Env).map((line) => [line.split('=')[0], line.includes('=') ? line.slice(line.indexOf('=') + 1) : '']);
  return [
    rows.length ? h('section', {class: 'card'}, h('h2', null, 'Runs'), pairs(rows)) : null,
    env.length ? h('section', {class: 'card'}, h('h2', null, 'Environment'), pairs(env)) : null,
    keys(c.Labels).length ? h('section', {class: 'card'}, h('h2', null, 'Labels'), pairs(Object.entries(c.Labels))) : null,
    it.manifest.body.annotations ? annotations(it.manifest.body.annotations) : null,
    it.config ? source('Configuration', it.config) : null,
    source('Manifest', it.manifest.body),
    it.whole === it.manifest ? null : source('Index', it.whole.body),
  ];
}

function source(title, document) {
  const body = JSON.stringify(document, null, 2);
  return h('details', {class: 'card source'}, h('summary', null, title, h('span', {class: 'dim'}, ` as JSON, ${size(body.length)}`)),
    text(body, {tag: 'pre', lines: true, max: 400000, tabindex: 0}));
}
