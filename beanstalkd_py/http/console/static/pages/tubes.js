// All tubes, live: sorted by any column, filtered by a part of the name.

import { putJob } from "../actions.js";
import { get } from "../api.js";
import { tubeColumns } from "../columns.js";
import { h, setText } from "../dom.js";
import { count } from "../format.js";
import { Table } from "../table.js";

const ALL_EVERY_S = 5;

export function tubes(context, _parameters, query) {
  const search = h("input", {
    type: "search",
    placeholder: "Filter tubes ( / )",
    "aria-label": "Filter tubes",
    value: query.get("find") ?? "",
    oninput: () => filter(),
    spellcheck: "false",
  });
  const counted = h("span", { class: "soft" });
  const table = new Table(tubeColumns(context.live, context.oldest), (tube) => tube.name, {
    order: { column: "name", down: false },
    label: "Tubes",
    empty: "No tube has this in its name.",
  });
  const put = h("button", { "data-key": "p", onclick: () => putJob(context) }, "Put a job");

  function filter() {
    const text = search.value;
    history.replaceState(null, "", text ? `#/tubes?find=${encodeURIComponent(text)}` : "#/tubes");
    if (context.live.sample) update(context.live.sample);
  }

  // A sample does not have all tubes, if there are very many.
  let rest = null;
  let askedAt = 0;
  async function askAll(at) {
    if (at < askedAt + ALL_EVERY_S) return;
    askedAt = at;
    rest = await get("tubes").catch(() => null);
  }

  async function update(sample) {
    if (sample.left_out) await askAll(sample.at);
    const { tubes: all, left_out: left } = sample.left_out && rest ? rest : sample;
    const text = search.value.toLowerCase();
    const found = text ? all.filter((tube) => tube.name.toLowerCase().includes(text)) : all;
    const of = text ? `${found.length} of ${count(all.length, "tube")}` : count(all.length, "tube");
    setText(counted, left ? `${of}, and ${count(left, "more tube")} that are not shown` : of);
    table.show(found);
  }

  const head = h("div", { class: "title" }, h("h1", {}, "Tubes"), counted);
  const bar = h("div", { class: "bar" }, search, context.full ? put : null);
  return { title: "Tubes", element: h("div", {}, head, bar, table.element), update };
}
