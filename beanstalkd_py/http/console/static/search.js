// Which jobs of a tube are shown: text in the body, age, attempts. The address keeps it.

import { queryText } from "./api.js";
import { h } from "./dom.js";
import { age, count, parseDuration } from "./format.js";

const TYPED_MS = 250;

export class JobSearch {
  // query: of the address. onChange(text): called after a pause in typing, with the new query.
  constructor(query, onChange) {
    this.onChange = onChange;
    this.timer = 0;
    const contains = {
      type: "search",
      placeholder: "Find in bodies ( / )",
      "aria-label": "Find in bodies",
      spellcheck: "false",
    };
    const older = { placeholder: "Older than", "aria-label": "Older than, such as 2 h" };
    const attempts = { type: "number", min: 0, placeholder: "Min. attempts" };
    this.contains = this.#input(query.get("contains"), contains);
    this.older = this.#input(query.get("age"), { class: "short", ...older });
    this.attempts = this.#input(query.get("attempts"), { class: "short", ...attempts });
    this.element = h("div", { class: "bar" }, this.contains, this.older, this.attempts);
  }

  #input(value, properties) {
    return h("input", { ...properties, value: value ?? "", oninput: () => this.#typed() });
  }

  #typed() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.onChange(this.#query()), TYPED_MS);
  }

  #query() {
    const { contains, older, attempts } = this;
    return queryText({ contains: contains.value, age: older.value, attempts: attempts.value });
  }

  close() {
    clearTimeout(this.timer);
  }

  // The parameters of the API that are given.
  get filter() {
    const found = {};
    if (this.contains.value) found.contains = this.contains.value;
    const seconds = parseDuration(this.older.value);
    if (seconds !== null) found.min_age = seconds;
    if (this.attempts.value) found.min_attempts = Number(this.attempts.value);
    return found;
  }

  get isEmpty() {
    return Object.keys(this.filter).length === 0;
  }

  // In words, behind "jobs that match".
  get description() {
    const { contains, min_age: seconds, min_attempts: attempts } = this.filter;
    const parts = [];
    if (contains) parts.push(`\u201c${contains}\u201d`);
    if (seconds !== undefined) parts.push(`older than ${age(seconds)}`);
    if (attempts !== undefined) parts.push(`at least ${count(attempts, "attempt")}`);
    return parts.join(", ");
  }
}
