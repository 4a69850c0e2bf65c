// One tube: its figures, its jobs in one state, search, and actions.

import { pause, putJob, resume, setPolicy, truncate } from "../actions.js";
import { get, tubePath } from "../api.js";
import { OLD_S, STATES, oldestAge, tubeLink } from "../columns.js";
import { h, setClass, setText } from "../dom.js";
import { age, count, duration, number, rate } from "../format.js";
import { JobList } from "../joblist.js";
import { policyText } from "../policy.js";
import { JobSearch } from "../search.js";

export function tube(context, [name, state], query) {
  return new TubePage(context, name, state, query);
}

class TubePage {
  // state: undefined: the first one that has jobs.
  constructor(context, name, state, query) {
    Object.assign(this, { context, name, title: name });
    this.figures = context.live.tube(name);
    this.state = state ?? STATES.find((each) => this.#jobs(each) > 0) ?? "ready";
    this.search = new JobSearch(query, (text) => this.#searched(text));
    this.search.element.hidden = !context.can("search");
    this.list = new JobList(context, name, this.state, this.search);
    this.element = this.#build();
    this.loadedFor = this.#counters();
    this.#show();
    if (this.figures) this.#showPolicy();
    this.list.load();
  }

  #jobs(state) {
    return this.figures?.[`current-jobs-${state}`] ?? 0;
  }

  close() {
    this.search.close();
  }

  #searched(text) {
    history.replaceState(null, "", tubeLink(this.name, this.state, text));
    this.list.firstPage();
  }

  // --- its parts

  #build() {
    this.paused = h("span", { class: "pill delayed", hidden: true });
    const crumb = h("span", { class: "crumb" }, h("a", { href: "#/tubes" }, "Tubes"), " /");
    const heading = h("h1", {}, crumb, this.name, " ", this.paused);
    const title = h("div", { class: "title" }, heading, this.#actions());
    this.gone = h("div", { class: "card soft" }, "This tube does not exist now. It exists while ");
    this.gone.append("it has jobs, or clients that use or watch it.");
    const parts = [title, this.gone, this.#facts(), this.#states()];
    return h("div", {}, parts, this.search.element, this.list.element);
  }

  #actions() {
    const { context, name } = this;
    const button = (text, onclick, more = {}) => h("button", { onclick, ...more }, text);
    this.pauseButton = button("", () => (this.#isPaused() ? resume(name) : pause(name)));
    if (!context.full) return null;
    const danger = { class: "danger" };
    return h("div", { class: "actions" }, [
      button("Put a job", () => putJob(context, name), { "data-key": "p" }),
      this.pauseButton,
      context.can("policy")
        ? button("Policy\u2026", () => setPolicy(name).then(() => this.#showPolicy()))
        : null,
      context.can("truncate")
        ? button("Delete all jobs\u2026", () => truncate(name), danger)
        : null,
    ]);
  }

  #facts() {
    this.oldest = h("span");
    this.facts = h("span");
    this.policy = h("p", { class: "soft", hidden: true });
    return [h("p", { class: "soft" }, this.oldest, this.facts), this.policy];
  }

  // A sample does not have it.
  async #showPolicy() {
    if (!this.context.can("policy")) return;
    const figures = await get(tubePath(this.name)).catch(() => null);
    const text = figures ? policyText(figures) : "";
    setText(this.policy, text);
    this.policy.hidden = text === "";
  }

  #states() {
    this.counts = new Map(STATES.map((state) => [state, h("b")]));
    const link = (state) => {
      const current = state === this.state ? "page" : null;
      const properties = { href: tubeLink(this.name, state), "aria-current": current };
      return h("a", properties, state, this.counts.get(state));
    };
    return h("nav", { class: "states", "aria-label": "States" }, STATES.map(link));
  }

  // --- figures

  update(sample) {
    const before = this.figures;
    this.figures = sample.tubes.find((each) => each.name === this.name) ?? null;
    if (!this.figures && sample.left_out) this.#askAlone();
    else this.#changed();
    if (this.figures && !before) this.#showPolicy();
  }

  // A sample does not have all tubes, if there are very many.
  async #askAlone() {
    this.figures = await get(tubePath(this.name)).catch(() => null);
    this.#changed();
  }

  #changed() {
    this.#show();
    const counters = this.#counters();
    if (counters === this.loadedFor) return;
    if (!this.figures) this.list.clear();
    if (!this.figures || this.list.refresh()) this.loadedFor = counters;
  }

  // What changes when the list of jobs may have changed.
  #counters() {
    const keys = [`current-jobs-${this.state}`, "total-jobs", "cmd-delete"];
    return this.figures ? keys.map((key) => this.figures[key]).join(" ") : "";
  }

  #isPaused() {
    return this.figures?.["pause-time-left"] > 0;
  }

  #show() {
    for (const [state, element] of this.counts) setText(element, number(this.#jobs(state)));
    this.list.showCount(this.#jobs(this.state));
    const isPaused = this.#isPaused();
    this.paused.hidden = !isPaused;
    setText(this.paused, isPaused ? `paused for ${duration(this.figures["pause-time-left"])}` : "");
    setText(this.pauseButton, isPaused ? "Resume" : "Pause\u2026");
    this.gone.hidden = this.figures !== null || this.context.live.sample === null;
    this.#showFacts();
  }

  #showFacts() {
    const seconds = oldestAge(this.figures);
    const known = seconds !== null;
    setText(this.oldest, known ? `Oldest ready job ${age(seconds)} \u00b7 ` : "");
    setClass(this.oldest, "delayed", known && seconds >= OLD_S);
    setText(this.facts, this.figures ? described(this.figures, this.context.live) : "");
  }
}

function described(figures, live) {
  const { puts, deletes } = live.rates(figures.name);
  const rates = puts === null ? [] : [`${rate(puts)} puts/s`, `${rate(deletes)} deletes/s`];
  const [watching, waiting] = [figures["current-watching"], figures["current-waiting"]];
  return [
    ...rates,
    `${number(watching)} watching, ${number(waiting)} waiting`,
    `${count(figures["total-jobs"], "job")} since the start`,
  ].join(" \u00b7 ");
}
