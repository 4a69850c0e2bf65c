// What has happened to a job, from its records in the log.

import { h } from "./dom.js";
import { clock, duration } from "./format.js";

const NS = 1e9;
const EVENTS = {
  put: "put",
  release: "released",
  timeout: "timed out",
  bury: "buried",
  kick: "kicked",
  reserve: "reserved",
  delete: "deleted",
  move: "moved",
  import: "imported",
  rewrite: "rewritten by compaction",
  update: "changed",
};

export function historyList(records) {
  return h("ol", { class: "history" }, records.map(line));
}

function line(record) {
  const at = record.at_ns / NS;
  const millisecond = String(Math.floor((record.at_ns / 1e6) % 1000)).padStart(3, "0");
  const time = h("time", { datetime: record.at, title: record.at }, `${clock(at)}.${millisecond}`);
  const what = EVENTS[record.event] ?? record.event;
  return h("li", {}, time, h("span", {}, [what, ...details(record)].join(", ")));
}

function details(record) {
  if (record.event === "rewrite") return [];
  const found = [];
  const was = record.was ?? {};
  const first = record.was === undefined;
  if (record.event === "move") found.push(`to ${record.tube}`);
  if (record.pri !== undefined && (first || record.pri !== was.pri))
    found.push(`priority ${record.pri}`);
  if (record.ttr_ns !== undefined && first) found.push(`TTR ${duration(record.ttr_ns / NS)}`);
  if (record.state === "delayed" && record.delay_ns > 0)
    found.push(`delay ${duration(record.delay_ns / NS)}`);
  if (record.reserves > 0 && record.reserves !== was.reserves)
    found.push(`attempt ${record.reserves}`);
  if (record.reason)
    found.push(record.origin ? `dead letter of ${record.origin}: ${record.reason}` : record.reason);
  return found;
}
