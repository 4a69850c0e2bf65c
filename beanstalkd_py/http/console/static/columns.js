// The columns of a table of tubes, and words for states and settings.

import { Sparkline } from "./charts.js";
import { h, replace, setClass, setText } from "./dom.js";
import { age, rate } from "./format.js";
import { TUBE_SLOTS } from "./live.js";
import { showNumber } from "./table.js";

export const STATES = ["ready", "reserved", "delayed", "buried"];
export const OLD_S = 600; // a job that has been ready for so long is worth a look

export function tubeLink(name, state = "", query = "") {
  return `#/tubes/${encodeURIComponent(name)}${state && `/${state}`}${query}`;
}

function jobs(state, title) {
  const value = (tube) => tube[`current-jobs-${state}`];
  return {
    name: state,
    title,
    sort: value,
    show(cell, tube) {
      let link = cell.firstElementChild;
      if (!link) replace(cell, (link = h("a")));
      link.href = tubeLink(tube.name, state);
      showNumber(link, value(tube));
      setClass(link, "buried", state === "buried" && value(tube) > 0);
    },
  };
}

function showName(cell, tube) {
  if (!cell.firstElementChild) {
    cell.append(h("a"), " ", h("span", { class: "pill delayed", hidden: true }));
  }
  const [link, pill] = cell.children;
  link.href = tubeLink(tube.name);
  setText(link, tube.name);
  cell.title = tube.name;
  pill.hidden = !(tube["pause-time-left"] > 0);
  setText(pill, "paused");
}

// Seconds that the oldest ready job waits; null: there is none, or the server does not tell.
export function oldestAge(tube) {
  return tube?.["current-jobs-ready"] > 0 ? (tube["oldest-ready-age"] ?? null) : null;
}

function showOldest(cell, tube) {
  const seconds = oldestAge(tube);
  const known = seconds !== null;
  setText(cell, known ? age(seconds) : "\u2013");
  setClass(cell, "zero", !known);
  setClass(cell, "delayed", known && seconds >= OLD_S);
}

// live: for the rates. oldest: whether the server knows the oldest ready job.
export function tubeColumns(live, oldest) {
  const columns = [
    { name: "name", title: "Tube", left: true, kind: "name", sort: (t) => t.name, show: showName },
    jobs("ready", "Ready"),
    { ...jobs("reserved", "Reserved"), wide: true },
    jobs("delayed", "Delayed"),
    jobs("buried", "Buried"),
    {
      name: "oldest",
      title: "Oldest ready",
      wide: true,
      sort: oldestAge,
      show: showOldest,
    },
    {
      name: "workers",
      title: "Waiting",
      wide: true,
      sort: (tube) => tube["current-waiting"],
      show: (cell, tube) => showNumber(cell, tube["current-waiting"]),
    },
    {
      name: "puts",
      title: "Puts/s",
      wide: true,
      sort: (tube) => live.rates(tube.name).puts ?? 0,
      show: (cell, tube) => showNumber(cell, live.rates(tube.name).puts, rate),
    },
    {
      name: "trend",
      title: "Last minute",
      wide: true,
      left: true,
      show(cell, tube, row) {
        if (!row.line) replace(cell, (row.line = new Sparkline()).element);
        row.line.show(live.history(tube.name), TUBE_SLOTS);
      },
    },
  ];
  return columns.filter((column) => oldest || column.name !== "oldest");
}

export function pill(state) {
  return h("span", { class: `pill ${state}` }, state);
}
