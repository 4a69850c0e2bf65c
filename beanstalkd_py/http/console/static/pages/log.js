// The files of the log: each segment with its live and dead bytes.

import { get } from "../api.js";
import { h, replace, setText } from "../dom.js";
import { fact } from "../fact.js";
import { bytes, count, number } from "../format.js";
import { Table } from "../table.js";

const EVERY_S = 2;

const rest = (segment) => Math.max(0, segment.bytes - segment.live_bytes);
// The rest of the active segment is free space mostly.
const dead = (segment) => (segment.active ? 0 : rest(segment));
const share = (segment) => (segment.bytes ? segment.live_bytes / segment.bytes : 0);

const COLUMNS = [
  { name: "number", title: "Segment", left: true, sort: (s) => s.number, show: showNumberOf },
  {
    name: "bytes",
    title: "Size",
    sort: (s) => s.bytes,
    show: (cell, s) => setText(cell, bytes(s.bytes)),
  },
  {
    name: "live",
    title: "Live",
    sort: (s) => s.live_bytes,
    show: (cell, s) => setText(cell, bytes(s.live_bytes)),
  },
  { name: "dead", title: "Dead", sort: dead, show: (cell, s) => setText(cell, bytes(dead(s))) },
  {
    name: "share",
    title: "Live share",
    sort: share,
    show: (cell, s) => setText(cell, `${Math.round(100 * share(s))}\u202f%`),
  },
];

function showNumberOf(cell, segment) {
  const pill = segment.active ? [" ", h("span", { class: "pill ready" }, "active")] : [];
  replace(cell, number(segment.number), ...pill);
}

export function log() {
  const facts = {
    live: fact("Live records"),
    dead: fact("Dead records"),
    files: fact("All files"),
    spare: fact("Preallocated"),
    state: fact("Puts"),
  };
  const bars = h("div", { class: "segments", role: "img" });
  const key = h(
    "div",
    { class: "legend keys" },
    h("span", {}, h("i", { class: "key" }), "live"),
    h("span", {}, h("i", { class: "key gone" }), "dead: compaction gives it back"),
    h("span", {}, h("i", { class: "key free" }), "free, in the active segment"),
  );
  const table = new Table(COLUMNS, (segment) => segment.number, {
    order: { column: "number", down: true },
    label: "Segments",
  });
  const chart = h("div", { class: "card" }, bars, key);
  const none = h(
    "p",
    { class: "empty", hidden: true },
    "This server has no log: its jobs are in memory only.",
  );
  const shown = h(
    "div",
    { hidden: true },
    h(
      "div",
      { class: "facts" },
      Object.values(facts).map((each) => each.element),
    ),
    h("h2", {}, "Segments, the oldest first"),
    chart,
    h("div", { class: "bar" }),
    table.element,
  );
  const failed = h("p", { class: "error", hidden: true });
  let askedAt = 0;

  async function update({ at }) {
    if (at < askedAt + EVERY_S) return;
    askedAt = at;
    try {
      show(await get("segments"));
      failed.hidden = true;
    } catch (error) {
      setText(failed, error.message);
      failed.hidden = false;
    }
  }

  function show(answer) {
    none.hidden = answer.log;
    shown.hidden = !answer.log;
    if (!answer.log) return;
    const gone = answer.segments.reduce((sum, segment) => sum + dead(segment), 0);
    const used = gone + answer.live_bytes;
    facts.live.show(bytes(answer.live_bytes));
    facts.dead.show(
      bytes(gone),
      used ? `${Math.round((100 * gone) / used)}\u202f% of the records` : "",
    );
    facts.files.show(bytes(answer.total_bytes), count(answer.segments.length, "segment"));
    facts.spare.show(bytes(answer.spare_bytes), "for what comes next");
    if (answer.full) facts.state.show("refused", "the disk is full", "bad");
    else facts.state.show("accepted");
    drawBars(bars, answer.segments);
    table.show(answer.segments);
  }

  const element = h(
    "div",
    {},
    h("div", { class: "title" }, h("h1", {}, "Log")),
    failed,
    none,
    shown,
  );
  return { title: "Log", element, update };
}

// A bar for each segment. Its height is its size.
function drawBars(bars, segments) {
  const most = Math.max(1, ...segments.map((segment) => segment.bytes));
  const part = (value) => `${(100 * value) / most}%`;
  const live = segments.reduce((sum, segment) => sum + segment.live_bytes, 0);
  bars.setAttribute("aria-label", `${count(segments.length, "segment")}, ${bytes(live)} live`);
  replace(
    bars,
    segments.map((segment) => {
      const deadPart = h("i");
      const livePart = h("i");
      deadPart.style.height = part(rest(segment));
      if (segment.active) deadPart.className = "free";
      livePart.style.height = part(segment.live_bytes);
      const parts = `${bytes(segment.live_bytes)} live, ${bytes(dead(segment))} dead`;
      const text = `Segment ${segment.number}: ${parts}`;
      return h("div", { class: "segment", title: text }, deadPart, livePart);
    }),
  );
}
