// A preview of bytes: text with numbers of lines, JSON in its layout, hexadecimal numbers for others.

import {h, replace, size, text} from './dom.js';
import {failed, loading} from './parts.js';

const PIECE = 65536;
const HEX_PIECE = 4096;
const TEXT_MAX = 1 << 20;

// The text, or null if the bytes are none. Unless they are whole, the last character may be cut.
export function asText(bytes, whole) {
  if (bytes.includes(0))
    return null;
  try {
    return new TextDecoder('utf-8', {fatal: true}).decode(bytes, {stream: !whole});
  } catch {
    return null;
  }
}

// A part of an answer: its bytes, and how many there are in all.
export async function part(response) {
  const bytes = new Uint8Array(await response.arrayBuffer());
  const range = /\/(\d+)$/.exec(response.headers.get('Content-Range') ?? '');
  return {bytes, total: range ? Number(range[1]) : bytes.length};
}

// Fills an element. load(from, n) gives a part, as above.
export async function preview(inside, load) {
  let bytes = new Uint8Array(0);
  let total = 0;
  const more = async (n) => {
    const got = await load(bytes.length, n);
    const all = new Uint8Array(bytes.length + got.bytes.length);
    all.set(bytes);
    all.set(got.bytes, bytes.length);
    [bytes, total] = [all, got.total];
  };
  const draw = () => {
    const string = asText(bytes, bytes.length >= total);
    const left = total - bytes.length;
    replace(inside, string === null ? hexed(bytes) : left === 0 ? laidOut(string) : lined(string),
      left > 0 ? h('p', {class: 'dim'}, `${size(bytes.length)} of ${size(total)} are shown. `,
        bytes.length < TEXT_MAX ? h('button', {type: 'button', class: 'button', onclick: () => again(string === null ? 4 * HEX_PIECE : 4 * PIECE)}, 'Show more') : 'Download the file to see the rest.') : null);
  };
  const again = async (n) => {
    try {
      await more(n);
      draw();
    } catch (e) {
      if (e.name !== 'AbortError')
        replace(inside, failed(e));
    }
  };
  replace(inside, loading());
  try {
    await more(PIECE);
    if (asText(bytes, bytes.length >= total) === null)
      bytes = bytes.slice(0, HEX_PIECE);
    draw();
  } catch (e) {
    if (e.name !== 'AbortError')
      replace(inside, failed(e));
  }
}

// A JSON document on one line is laid out. What a signed envelope (DSSE) carries is shown beside it.
function laidOut(string) {
  if (!/^\s*\{/.test(string) || string.trim().includes('\n'))
    return lined(string);
  try {
    const json = JSON.parse(string);
    const out = [lined(JSON.stringify(json, null, 2))];
    if (typeof json.payload === 'string' && json.payloadType) {
      const bytes = Uint8Array.from(atob(json.payload), (c) => c.charCodeAt(0));
      const inner = asText(bytes, true);
      if (inner !== null)
        out.unshift(h('h3', null, 'What is signed'), laidOut(inner), h('h3', null, 'The envelope'));
    }
    return h('div', null, out);
  } catch {
    return lined(string);
  }
}

export function lined(string) {
  const lines = string.replace(/\n$/, '').split('\n').length;
  return h('div', {class: 'code', tabindex: 0, role: 'group', 'aria-label': 'Content'},
    h('pre', {class: 'numbers', 'aria-hidden': 'true'}, Array.from({length: lines}, (_, i) => i + 1).join('\n')),
    text(string.replace(/\r\n/g, '\n'), {tag: 'pre', lines: true, class: 'text'}));
}

function hexed(bytes) {
  const lines = [];
  for (let i = 0; i < bytes.length; i += 16) {
    const some = [...bytes.slice(i, i + 16)];
    lines.push(i.toString(16).padStart(8, '0') + '  ' + some.map((b) => b.toString(16).padStart(2, '0')).join(' ').padEnd(47) + '  ' +
      some.map((b) => (b > 31 && b < 127 ? String.fromCharCode(b) : '·')).join(''));
  }
  return h('div', {class: 'code', tabindex: 0, role: 'group', 'aria-label': 'Content in hexadecimal'}, h('pre', {class: 'text'}, lines.join('\n')));
}
