// A list of any length: only the rows that can be seen are in the document. All rows have the same
// height, which the style sheet gives by --row.

import {h} from './dom.js';

const SPARE = 12; // rows beyond each edge

// options: row (item, index) -> element; more () -> promise of whether there is still more, called
// when the end comes near; label; kind, a class.
export class List {
  constructor({row, more, label, kind}) {
    this.items = [];
    this.row = row;
    this.more = more;
    this.done = !more;
    this.shown = new Map();
    this.element = h('ul', {class: `rows ${kind}`, 'aria-label': label});
    this.element.addEventListener('keydown', (e) => this.key(e));
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.element);
    this.observer.observe(document.body); // what is above the list may have become smaller
    this.scrolled = () => {
      if (!this.element.isConnected && this.wasConnected)
        this.end();
      else
        this.draw();
    };
    addEventListener('scroll', this.scrolled, {passive: true});
    addEventListener('resize', this.scrolled, {passive: true});
  }

  end() {
    this.observer.disconnect();
    removeEventListener('scroll', this.scrolled);
    removeEventListener('resize', this.scrolled);
  }

  // items may be the former ones, and some behind them; then the rows that are drawn stay.
  set(items, grown = false) {
    this.items = items;
    if (grown)
      this.draw();
    else
      this.redraw();
  }

  // Draws all rows anew. What had the focus has it afterwards.
  redraw() {
    const [i, at] = [...this.shown].find(([, element]) => element.contains(document.activeElement)) ?? [];
    const column = at ? focusable(at).indexOf(document.activeElement) : 0;
    this.shown.clear();
    this.element.replaceChildren();
    this.draw();
    if (at && this.shown.has(i))
      focusable(this.shown.get(i))[column]?.focus({preventScroll: true});
  }

  get height() {
    return parseFloat(getComputedStyle(this.element).getPropertyValue('--row')) || 44;
  }

  draw() {
    if (!this.element.isConnected)
      return;
    this.wasConnected = true;
    const each = this.height;
    if (each !== this.each && this.shown.size) {
      this.each = each; // another window
      this.redraw();
      return;
    }
    this.each = each;
    const top = this.element.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(-top / each) - SPARE);
    const last = Math.min(this.items.length, Math.ceil((innerHeight - top) / each) + SPARE);
    this.element.style.height = `${this.items.length * each}px`;
    for (const [i, element] of this.shown)
      if ((i < first || i >= last) && !element.contains(document.activeElement)) {
        element.remove();
        this.shown.delete(i);
      }
    let before = null;
    for (let i = last - 1; i >= first; i--) {
      let element = this.shown.get(i);
      if (!element) {
        element = h('li', {'aria-setsize': this.done ? this.items.length : -1, 'aria-posinset': i + 1}, this.row(this.items[i], i));
        element.style.top = `${i * each}px`;
        this.shown.set(i, element);
        this.element.insertBefore(element, before);
      }
      before = element;
    }
    if (!this.done && !this.asking && last >= this.items.length - SPARE)
      this.ask();
  }

  async ask() {
    this.asking = true;
    try {
      this.done = !(await this.more());
    } catch (e) {
      this.done = true;
      if (e.name !== 'AbortError')
        this.failed?.(e);
    }
    this.asking = false;
    this.draw();
  }

  // The row i, made visible.
  show(i) {
    this.draw(); // so that there is something to scroll
    const each = this.height;
    const top = this.element.getBoundingClientRect().top + i * each;
    if (top < 120 || top > innerHeight - 2 * each) {
      scrollBy({top: top - innerHeight / 3});
      this.draw();
    }
    return this.shown.get(i);
  }

  // Arrows go from row to row, and stay in the same column of things that can have the focus.
  key(event) {
    const step = {ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity}[event.key];
    if (!step || event.altKey || event.ctrlKey || event.metaKey || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) && event.target.type !== 'checkbox')
      return;
    for (const [i, element] of this.shown)
      if (element.contains(event.target)) {
        const column = focusable(element).indexOf(event.target);
        const to = Math.max(0, Math.min(this.items.length - 1, i + step));
        const all = focusable(this.show(to) ?? element);
        (all[column] ?? all[0])?.focus({preventScroll: true});
        event.preventDefault();
        return;
      }
  }
}

function focusable(element) {
  return [...element.querySelectorAll('a[href], button, input')];
}
