// What each hook of the registry did last, and what it wrote.

import {catalog, json} from './api.js';
import {ago, count, h, icon, text} from './dom.js';
import {empty, heading, link, to} from './parts.js';

function result({exit_code: code, signal, why}) {
  const words = why || (signal !== null ? `killed by signal ${signal}` : `exit code ${code}`);
  return h('span', {class: code === 0 && !why ? 'badge good' : 'badge bad'}, text(words, {max: 500}));
}

function hook({name, set, problem, last}) {
  return h('section', {class: 'card hook'},
    h('h2', null, text(name), ' ', set ? null : h('span', {class: 'badge'}, 'not there any more')),
    problem ? h('p', {class: 'problem'}, text(problem)) : null,
    last ? [
      h('p', null, result(last), ' ', ago(last.ended), last.repository ? [' for ', link(last.tag ? to.image(last.repository, last.tag) : to.repository(last.repository), null,
        text(last.tag ? `${last.repository}:${last.tag}` : last.repository))] : null),
      last.output ? text(last.output, {tag: 'pre', class: 'output', lines: true, max: 8192, tabindex: 0, role: 'group', 'aria-label': `Output of ${name}`}) : h('p', {class: 'dim'}, 'It wrote nothing.'),
    ] : h('p', {class: 'dim'}, 'It hasn’t run yet.'));
}

export async function hooks(route, {signal, redraw}) {
  const {hooks: all, waiting} = await json('_hooks', {scope: catalog, signal});
  const some = all.filter((one) => one.set || one.problem || one.last);
  return [
    heading('Hooks', h('p', {class: 'summary'}, waiting === null ? '' : count(waiting, 'run waits', 'runs wait')),
      h('button', {type: 'button', class: 'button', onclick: redraw}, icon('clock'), 'Look again')),
    some.length ? some.map(hook) : empty('No hooks', 'Hooks are programs that the registry runs when something happens; see docker-registry-server-hooks(5).'),
  ];
}
