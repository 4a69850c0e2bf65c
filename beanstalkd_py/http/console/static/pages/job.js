// One job: its body in three forms, its figures, what has happened to it, and what can be done.

import { ACTIONS, actOnJob } from "../actions.js";
import { bytes as getBytes, get } from "../api.js";
import { bodyView } from "../body.js";
import { pill, tubeLink } from "../columns.js";
import { h, replace } from "../dom.js";
import { bytes, clock, duration, number } from "../format.js";
import { historyList } from "../history.js";
import { missing } from "./missing.js";

const SHOWN = 65536; // bytes of the body at first
const MOST_SHOWN = 4 << 20; // a longer one can be downloaded only

export function job(context, [id]) {
  const element = h("div", {}, h("p", { class: "empty" }, "Loading\u2026"));
  const bodyPlace = h("div");
  const history = h("div");
  const head = h("div", { class: "title" });
  const figures = h("dl");
  let known = "";
  let last = null;
  let busy = false;

  async function load() {
    let found;
    try {
      found = await get(`jobs/${id}`, { as: "base64", bytes: SHOWN });
    } catch (error) {
      replace(element, missing(error.message).element);
      return;
    }
    replace(
      element,
      head,
      h(
        "div",
        { class: "columns job" },
        h("section", {}, bodyPlace),
        h("section", {}, h("div", { class: "card" }, figures), history),
      ),
    );
    showBody(found);
    show(found);
  }

  function show(found) {
    last = found;
    known = fingerprint(found);
    replace(head, title(pill(found.state)), context.full ? actions(found) : null);
    showFigures(found);
    if (context.can("history")) showHistory();
  }

  function title(state) {
    const tubes = h("a", { href: "#/tubes" }, "Tubes");
    const tube = h("a", { href: tubeLink(last.tube, last.state) }, last.tube);
    const crumb = h("span", { class: "crumb" }, tubes, " / ", tube, " /");
    return h("h1", {}, crumb, `Job ${id} `, state);
  }

  function actions(found) {
    const possible = Object.entries(ACTIONS).filter(
      ([action, { states }]) =>
        states.includes(found.state) && (action !== "move" || context.can("move")),
    );
    const button = ([action, { title, danger }]) =>
      h(
        "button",
        { class: danger ? "danger" : null, onclick: () => act(action) },
        danger || action === "move" ? `${title}\u2026` : title,
      );
    if (!possible.length) return h("span", { class: "soft" }, "A worker has reserved it.");
    return h("div", { class: "actions" }, possible.map(button));
  }

  async function act(action) {
    if (!(await actOnJob(context, last, action))) return;
    if (action === "delete") context.go(tubeLink(last.tube, last.state));
    else refresh();
  }

  function showBody(found) {
    const some = Uint8Array.from(atob(found.body), (each) => each.charCodeAt(0));
    const file = `job-${id}`;
    const download = h(
      "a",
      { href: `api/jobs/${id}/body`, download: file, class: "soft" },
      "Download",
    );
    const heading = h(
      "div",
      { class: "heading" },
      h("h2", {}, `Body, ${bytes(found.size)}`),
      download,
    );
    const whole =
      found.truncated && found.size <= MOST_SHOWN
        ? h("button", { class: "more", onclick: all }, `Load all ${bytes(found.size)}`)
        : null;
    replace(bodyPlace, heading, bodyView(some), whole);
    async function all() {
      replace(bodyPlace, heading, bodyView(await getBytes(`jobs/${id}/body`)));
    }
  }

  function showFigures(found) {
    const lines = [
      ["Tube", h("a", { href: tubeLink(found.tube, found.state) }, found.tube)],
      ["Put", `${clock(Date.now() / 1000 - found.age)}, ${duration(found.age)} ago`],
      ["Priority", String(found.pri)],
      ["TTR", duration(found.ttr)],
      found.state === "delayed" ? ["Ready in", duration(found["time-left"])] : null,
      found.state === "reserved" ? ["TTR left", duration(found["time-left"])] : null,
      ["Attempts", number(found.reserves)],
      ["Timeouts", number(found.timeouts)],
      ["Releases", number(found.releases)],
      ["Buries", number(found.buries)],
      ["Kicks", number(found.kicks)],
      found.key ? ["Unique key", found.key] : null,
      found["expires-in"] !== undefined ? ["Expires in", duration(found["expires-in"])] : null,
      found["max-attempts"] ? ["Attempts at most", number(found["max-attempts"])] : null,
      found.origin
        ? ["Dead letter of", h("a", { href: tubeLink(found.origin) }, found.origin)]
        : null,
      found.reason ? ["Because of", found.reason] : null,
      found.file ? ["Segment", number(found.file)] : null,
    ];
    replace(
      figures,
      lines.filter(Boolean).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
    );
  }

  async function showHistory() {
    const answer = await get(`jobs/${id}/history`).catch((error) => ({ error }));
    const heading = h("h2", {}, "History");
    if (answer.error) replace(history, heading, h("p", { class: "soft" }, answer.error.message));
    else if (answer.records.length) replace(history, heading, historyList(answer.records));
  }

  // The same figures again, without the body.
  async function refresh() {
    if (busy) return;
    busy = true;
    try {
      const found = await get(`jobs/${id}`, { as: "base64", bytes: 1 });
      if (fingerprint(found) !== known) show(found);
      else showFigures(found);
    } catch (error) {
      if (error.status === 404) gone();
    }
    busy = false;
  }

  function gone() {
    if (known === "gone") return;
    known = "gone";
    replace(head, title(h("span", { class: "pill soft" }, "deleted")));
    if (context.can("history")) showHistory();
  }

  load();
  return { title: `Job ${id}`, element, update: () => last && known !== "gone" && refresh() };
}

// What changes when something has happened to the job.
function fingerprint(job) {
  const keys = [
    "state",
    "tube",
    "pri",
    "delay",
    "reserves",
    "timeouts",
    "releases",
    "buries",
    "kicks",
  ];
  return keys.map((key) => job[key]).join(" ");
}
