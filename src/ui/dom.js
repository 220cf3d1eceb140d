// Elements, and texts of strangers. What comes from an image is only ever a text node or the value
// of an attribute: nothing in this page parses HTML.

const SVG = 'http://www.w3.org/2000/svg';

// h('a', {href, class, onclick: f}, child, [children], ...): children are nodes or texts.
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false)
      continue;
    if (name.startsWith('on'))
      element.addEventListener(name.slice(2), value);
    else if (name === 'href' && !isOwn(value))
      throw new Error('a link that leads elsewhere');
    else
      element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
  return element;
}

// Links stay on this host.
function isOwn(href) {
  return (href.startsWith('/') && !href.startsWith('//')) || href.startsWith('blob:') || href.startsWith('#');
}

export function replace(parent, ...children) {
  parent.replaceChildren(...children.flat(Infinity).filter((c) => c));
  return parent;
}

const icons = {
  search: 'M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM20 20l-4-4',
  folder: 'M3 7a2 2 0 0 1 2-2h4l2 2h8a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2z',
  file: 'M7 3h7l5 5v11a2 2 0 0 1-2 2H7a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2zM14 3v5h5',
  link: 'M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1',
  box: 'M3 8l9-5 9 5v8l-9 5-9-5zM3 8l9 5 9-5M12 13v8',
  copy: 'M9 9h10v10a2 2 0 0 1-2 2H9zM15 5V3H7a2 2 0 0 0-2 2v10h2',
  check: 'M5 12l5 5 9-10',
  caret: 'M9 6l6 6-6 6',
  down: 'M12 4v12M6 11l6 6 6-6M5 20h14',
  trash: 'M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5',
  sun: 'M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.5 1.5M17.5 17.5L19 19M5 19l1.5-1.5M17.5 6.5L19 5',
  user: 'M12 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM4 21a8 8 0 0 1 16 0',
  lock: 'M6 11h12v9H6zM8 11V8a4 4 0 0 1 8 0v3',
  alert: 'M12 4L2 20h20zM12 10v5M12 17.5v.5',
  clock: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 7v5l3 2',
  device: 'M4 5h16v10H4zM9 20h6M12 15v5',
};

export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  const path = document.createElementNS(SVG, 'path');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  path.setAttribute('d', icons[name]);
  svg.append(path);
  return svg;
}

// ---- texts of strangers ----

// Characters that can't be seen, or that change how others are seen.
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f-\u1160\u17b4-\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]/gu;

function nameOf(c) {
  return 'U+' + c.codePointAt(0).toString(16).toUpperCase().padStart(4, '0');
}

// Where a text should be, documents of strangers may have anything.
export function words(value) {
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

// The same text, with the names of such characters in their place: for titles and attributes.
export function plain(text) {
  return words(text).replace(HIDDEN, (c) => `[${nameOf(c)}]`);
}

// An element that shows the text, isolated from what stands around it. Options: lines (tabs and line
// ends stay as they are), max (characters).
export function text(value, {lines = false, max = 0, tag = 'bdi', ...props} = {}) {
  let s = words(value);
  const cut = max > 0 && s.length > max;
  if (cut)
    s = s.slice(0, max);
  const element = h(tag, props);
  let from = 0;
  for (const match of s.matchAll(HIDDEN)) {
    if (lines && (match[0] === '\n' || match[0] === '\t'))
      continue;
    if (match.index > from)
      element.append(s.slice(from, match.index));
    element.append(h('span', {class: 'hidden-char'}, nameOf(match[0])));
    from = match.index + match[0].length;
  }
  if (from < s.length)
    element.append(s.slice(from));
  if (cut)
    element.append('…');
  return element;
}

// ---- numbers and times ----

export function size(n) {
  if (n === null || n === undefined)
    return '–';
  if (n < 1000)
    return `${n} B`;
  const units = ['kB', 'MB', 'GB', 'TB', 'PB'];
  let u = -1;
  while (n >= 1000 && u < units.length - 1) {
    n /= 1000;
    u++;
  }
  return `${n < 9.95 ? n.toFixed(1) : Math.round(n)} ${units[u]}`;
}

export function count(n, one, many = one + 's') {
  return `${Number(n).toLocaleString('en')} ${n === 1 ? one : many}`;
}

const relative = new Intl.RelativeTimeFormat('en', {numeric: 'auto'});
const steps = [['year', 31557600], ['month', 2629800], ['week', 604800], ['day', 86400], ['hour', 3600], ['minute', 60]];

// <time>: how long ago, with the exact time as its title. Times are texts or milliseconds.
export function ago(when) {
  const date = new Date(typeof when === 'object' ? NaN : when);
  if (when === undefined || when === '' || isNaN(date))
    return h('span', {class: 'dim'}, '–');
  const seconds = (date - Date.now()) / 1000;
  const [unit, each] = steps.find(([, s]) => Math.abs(seconds) >= s) ?? ['second', 1];
  const told = Math.abs(seconds) < 60 ? 'just now' : relative.format(Math.round(seconds / each), unit);
  return h('time', {datetime: date.toISOString(), title: date.toLocaleString('en-GB', {timeZoneName: 'short'})}, told);
}

// 1.9 comes before 1.10.
export const natural = new Intl.Collator('en', {numeric: true}).compare;

export function mode(type, bits) {
  const kind = {directory: 'd', symlink: 'l', 'character-device': 'c', 'block-device': 'b', fifo: 'p'}[type] ?? '-';
  const rwx = (n, special, letter) => (n & 4 ? 'r' : '-') + (n & 2 ? 'w' : '-') +
    (special ? (n & 1 ? letter : letter.toUpperCase()) : n & 1 ? 'x' : '-');
  return kind + rwx(bits >> 6, bits & 0o4000, 's') + rwx(bits >> 3, bits & 0o2000, 's') + rwx(bits, bits & 0o1000, 't');
}

export function short(digest) {
  return digest.replace(/^(sha\d+:)?([0-9a-f]{12}).*/, '$2');
}
