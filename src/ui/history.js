// When a tag was moved, and by whom; and putting it back.

import {ApiError, json, pull, whoAmI} from './api.js';
import {ago, h, icon, replace, short, text} from './dom.js';
import {ask, empty, failed, link, say, to} from './parts.js';
import {setTag} from './tags.js';

export async function history(it, {signal, redraw}) {
  const {name, ref} = it;
  const [rights, {history: moves}] = await Promise.all([whoAmI(name), json(`${name}/_tags/${encodeURIComponent(ref)}/history`, {scope: pull(name), signal})]);
  const problem = h('div');
  const now = moves[0]?.to ?? null;
  const may = rights === null || (now === null ? rights.create : rights.overwrite);

  const named = (digest) => digest === null ? h('span', {class: 'dim'}, 'nothing') : digest.includes(':')
    ? link(to.image(name, digest), {class: 'mono', title: digest}, short(digest)) : h('span', {class: 'mono'}, short(digest));

  async function back(digest) {
    if (!await ask(`Let ${name}:${ref} be ${short(digest)} again?`, 'Put back',
      h('p', null, now === null ? 'The tag is made again.' : 'The tag moves. What it is now stays in its history.')))
      return;
    try {
      await setTag(name, ref, digest, now);
      say('The tag was put back');
      redraw();
    } catch (e) {
      replace(problem, failed(e.status === 404 ? new ApiError(404, e.code, 'That image is not there any more.', 'History is kept for the time of --history-keep.') : e));
    }
  }

  const shown = (move) => h('li', {class: 'move'},
    h('span', {class: 'what'}, move.to === null ? 'deleted' : move.from === null ? 'made' : 'moved'),
    h('span', null, named(move.from), ' → ', named(move.to)),
    h('span', null, ago(move.when), move.by ? [h('span', {class: 'dim'}, ' by '), text(move.by, {max: 60})] : null),
    may && move.from !== null && move.from !== now && move.from.includes(':')
      ? h('button', {type: 'button', class: 'button', onclick: () => back(move.from)}, 'Put back ', h('span', {class: 'mono'}, short(move.from))) : h('span'));
  if (moves.length === 0)
    return empty('No history', 'The registry has kept no move of this tag.');
  return h('section', {class: 'card'}, h('h2', null, icon('clock'), ' Moves of the tag'), problem, h('ol', {class: 'moves'}, moves.map(shown)));
}
