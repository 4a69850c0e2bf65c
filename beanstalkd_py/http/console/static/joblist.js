// The jobs of a tube in one state, page by page, and the actions on some of them or on all.

import { ACTIONS, actOnMany } from "./actions.js";
import { get, queryText, tubePath } from "./api.js";
import { h, setText } from "./dom.js";
import { number } from "./format.js";
import { jobColumns } from "./jobs.js";
import { Table } from "./table.js";

const PAGE = 50;
const RELOAD_MS = 1500; // at most so often while the figures change

export class JobList {
  // search: a JobSearch.
  constructor(context, tube, state, search) {
    Object.assign(this, { context, tube, state, search });
    this.cursors = [null]; // of the pages up to this one
    this.next = null; // cursor of the next page
    this.jobs = [];
    this.count = 0; // of all jobs in this state
    this.chosen = new Set();
    this.request = 0; // number of the last one
    this.loading = false;
    this.loadedAt = 0;
    this.note = h("p", { class: "empty", role: "status", hidden: true });
    this.table = new Table(this.#columns(), (job) => job.id, { label: `${state} jobs of ${tube}` });
    this.table.element.hidden = true;
    this.buttons = this.#actions().map((action) => this.#button(action));
    this.element = h("div", {}, this.#bar(), this.table.element, this.note, this.#pager());
  }

  // --- its parts

  #columns() {
    return jobColumns(this.state, {
      chosen: this.chosen,
      onChoose: () => this.#showActions(),
      full: this.context.full,
      search: this.search,
    });
  }

  #actions() {
    const { context, state } = this;
    if (!context.full) return [];
    const possible = Object.keys(ACTIONS).filter((each) => ACTIONS[each].states.includes(state));
    return possible.filter((each) => each !== "move" || context.can("move"));
  }

  #button(action) {
    const look = ACTIONS[action].danger ? "danger" : null;
    return { action, element: h("button", { class: look, onclick: () => this.#act(action) }) };
  }

  #bar() {
    if (!this.buttons.length) return null;
    const elements = this.buttons.map((each) => each.element);
    const group = { class: "actions", role: "group", "aria-label": "Actions on jobs" };
    return h("div", { class: "bar" }, h("div", group, elements));
  }

  #pager() {
    this.back = h("button", { onclick: () => this.#turn(-1) }, "Previous page");
    this.forward = h("button", { onclick: () => this.#turn(1) }, "Next page");
    this.where = h("span");
    const parts = [this.where, this.back, this.forward];
    this.pager = h("div", { class: "pager", hidden: true }, parts);
    return this.pager;
  }

  // --- pages

  firstPage() {
    this.cursors.length = 1;
    this.chosen.clear();
    this.load();
  }

  #turn(step) {
    if (step > 0) this.cursors.push(this.next);
    else this.cursors.pop();
    this.chosen.clear();
    this.load();
    this.table.element.scrollIntoView({ block: "nearest" });
  }

  // The figures of the tube say that this page may have changed.
  refresh() {
    const due = Date.now() - this.loadedAt > RELOAD_MS;
    const busy = this.loading || this.chosen.size > 0 || document.querySelector("dialog");
    if (due && !busy) this.load();
    return due && !busy;
  }

  async load() {
    this.request += 1;
    const mine = this.request;
    this.loading = true;
    const answer = await this.#ask();
    if (mine !== this.request) return;
    this.loading = false;
    this.loadedAt = Date.now();
    this.jobs = answer.jobs;
    this.next = answer.cursor;
    this.#show();
    this.#showNote(answer.note);
  }

  async #ask() {
    const { state, cursors } = this;
    const cursor = cursors[cursors.length - 1];
    const asked = queryText({ state, limit: PAGE, cursor, ...this.search.filter });
    try {
      const answer = await get(tubePath(this.tube, `/jobs${asked}`));
      return { ...answer, note: this.#noteOf(answer.jobs) };
    } catch (error) {
      return { jobs: [], cursor: null, note: error.code === "no_tube" ? "" : error.message };
    }
  }

  #noteOf(jobs) {
    if (!jobs.length) return this.search.isEmpty ? `No ${this.state} jobs.` : "No job matches.";
    return this.context.can("search") ? "" : `This server tells only the first ${this.state} job.`;
  }

  // The tube does not exist now.
  clear() {
    this.request += 1;
    this.loading = false;
    this.jobs = [];
    this.next = null;
    this.#show();
    this.#showNote("");
  }

  // --- what is seen

  #show() {
    const { jobs, cursors } = this;
    const ids = new Set(jobs.map((job) => job.id));
    for (const id of this.chosen) if (!ids.has(id)) this.chosen.delete(id);
    this.table.show(jobs);
    this.table.element.hidden = jobs.length === 0;
    const isLast = this.next === null || (jobs.length < PAGE && this.search.isEmpty);
    this.back.disabled = cursors.length === 1;
    this.forward.disabled = isLast;
    this.pager.hidden = cursors.length === 1 && isLast;
    setText(this.where, this.#place());
    this.#showActions();
  }

  #place() {
    const from = (this.cursors.length - 1) * PAGE;
    if (!this.jobs.length || !this.search.isEmpty) return `Page ${this.cursors.length}`;
    return `Jobs ${number(from + 1)} to ${number(from + this.jobs.length)}`;
  }

  #showNote(text) {
    setText(this.note, text);
    this.note.hidden = text === "";
  }

  // count: of all jobs in this state.
  showCount(count) {
    this.count = count;
    this.#showActions();
  }

  #showActions() {
    const some = this.chosen.size > 0;
    const all = this.search.isEmpty ? `all ${number(this.count)}` : "all that match";
    const what = some ? `${number(this.chosen.size)} chosen` : all;
    for (const { action, element } of this.buttons) {
      setText(element, `${ACTIONS[action].title} ${what}\u2026`);
      element.disabled = !some && (!this.context.can("matching") || this.jobs.length === 0);
    }
    this.table.heads[0].firstElementChild?.sync?.(this.jobs);
  }

  async #act(action) {
    const { search, state } = this;
    const ids = this.chosen.size ? [...this.chosen] : null;
    const which = ids || search.isEmpty ? "" : ` that match ${search.description}`;
    const match = { state, ...search.filter };
    if (await actOnMany(this.context, this.tube, action, ids, match, which)) this.firstPage();
  }
}
