// A table whose rows stay in place while their figures change.

import { h, replace, setClass, setText } from "./dom.js";
import { number } from "./format.js";

const ROWS = 200; // drawn at once; a button shows more

// columns: [{ name, title, left, wide, sort(item), show(cell, item, row) }]. A column without
// `sort` cannot be sorted by. `show` fills a cell, and is called again whenever the figures change.
// key(item): names a row. order: { column, down } to begin with; null: as the items come.
export class Table {
  constructor(columns, key, { order = null, label, empty = "Nothing here." } = {}) {
    this.columns = columns;
    this.key = key;
    this.order = order;
    this.rows = new Map();
    this.items = [];
    this.most = ROWS;
    this.body = h("tbody");
    this.heads = columns.map((column) => this.#head(column));
    this.empty = h("p", { class: "empty", hidden: true }, empty);
    this.more = h("button", { class: "more", hidden: true, onclick: () => this.#showMore() });
    const table = h(
      "table",
      { "aria-label": label },
      h("thead", {}, h("tr", {}, this.heads)),
      this.body,
    );
    this.element = h("div", { class: "table" }, table, this.empty, this.more);
    this.#mark();
  }

  #head(column) {
    const properties = { class: classes(column), scope: "col" };
    if (!column.sort) return h("th", properties, column.head ?? column.title);
    const button = h("button", { onclick: () => this.#sortBy(column) }, column.title);
    return h("th", properties, button);
  }

  #sortBy(column) {
    const again = this.order?.column === column.name;
    this.order = { column: column.name, down: again ? !this.order.down : !column.left };
    this.#mark();
    this.draw();
  }

  #mark() {
    this.columns.forEach((column, index) => {
      const on = this.order?.column === column.name;
      const value = on ? (this.order.down ? "descending" : "ascending") : "none";
      if (column.sort) this.heads[index].setAttribute("aria-sort", value);
    });
  }

  #showMore() {
    this.most += 5 * ROWS;
    this.draw();
  }

  show(items) {
    this.items = items;
    this.draw();
  }

  draw() {
    const shown = this.#sorted().slice(0, this.most);
    const rows = new Map();
    for (const item of shown) {
      const key = this.key(item);
      const row = this.rows.get(key) ?? this.#row();
      row.item = item;
      this.columns.forEach((column, index) => column.show(row.cells[index], item, row));
      rows.set(key, row);
    }
    this.#place(rows);
    this.rows = rows;
    this.empty.hidden = this.items.length > 0;
    const left = this.items.length - shown.length;
    this.more.hidden = left === 0;
    setText(this.more, `Show more (${number(left)} left)`);
  }

  // Moves only the rows that are in a wrong place: the focus stays where it is.
  #place(rows) {
    for (const [key, row] of this.rows) {
      if (!rows.has(key)) row.element.remove();
    }
    let next = this.body.firstElementChild;
    for (const { element } of rows.values()) {
      if (element === next) next = next.nextElementSibling;
      else this.body.insertBefore(element, next);
    }
  }

  #row() {
    const cells = this.columns.map((column) => h("td", { class: classes(column) }));
    return { cells, element: h("tr", {}, cells) };
  }

  #sorted() {
    const column = this.columns.find((each) => each.name === this.order?.column);
    if (!column) return this.items;
    const sign = this.order.down ? -1 : 1;
    return [...this.items].sort((a, b) => sign * compare(column.sort(a), column.sort(b)));
  }
}

function compare(a, b) {
  if (typeof a === "string") return a.localeCompare(b, "en", { numeric: true });
  return (a ?? -1) - (b ?? -1);
}

function classes(column) {
  const names = [column.left && "left", column.wide && "wide", column.kind].filter(Boolean);
  return names.length ? names.join(" ") : null;
}

// Cells

export function showNumber(cell, value, format = number) {
  setText(cell, value === null || value === undefined ? "\u2013" : format(value));
  setClass(cell, "zero", !value);
}

// A link whose text and target may change.
export function showLink(cell, href, text) {
  let link = cell.firstElementChild;
  if (!link) {
    link = h("a");
    replace(cell, link);
  }
  if (link.getAttribute("href") !== href) link.setAttribute("href", href);
  setText(link, text);
}
