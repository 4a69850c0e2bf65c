// The columns of a table of jobs.

import { h, replace, setClass, setText } from "./dom.js";
import { age, bytes } from "./format.js";
import { showLink, showNumber } from "./table.js";

export function jobLink(id) {
  return `#/jobs/${id}`;
}

// chosen: a set of ids that the boxes of the rows change; onChoose: is called then.
// search: what is searched for, to mark it in the bodies.
export function jobColumns(state, { chosen, onChoose, full, search }) {
  const left = { reserved: "TTR left", delayed: "Ready in" }[state];
  const columns = [
    full ? chooser(chosen, onChoose) : null,
    {
      name: "id",
      title: "Job",
      left: true,
      show: (cell, job) => showLink(cell, jobLink(job.id), String(job.id)),
    },
    {
      name: "body",
      title: "Body",
      left: true,
      kind: "grow",
      show: (cell, job) => showBody(cell, job, search.filter),
    },
    { name: "pri", title: "Priority", wide: true, show: (cell, job) => setText(cell, job.pri) },
    { name: "age", title: "Age", show: (cell, job) => setText(cell, age(job.age)) },
    left && {
      name: "left",
      title: left,
      show: (cell, job) => setText(cell, age(job["time-left"])),
    },
    {
      name: "reserves",
      title: "Attempts",
      wide: true,
      show: (cell, job) => showNumber(cell, job.reserves),
    },
    {
      name: "size",
      title: "Size",
      wide: true,
      show: (cell, job) => setText(cell, bytes(job.size)),
    },
  ];
  return columns.filter(Boolean);
}

// A box for each row, and one for all rows of the page.
function chooser(chosen, onChoose) {
  let shown = [];
  const all = h("input", { type: "checkbox", "aria-label": "Choose all jobs of this page" });
  all.onchange = () => {
    for (const job of shown) {
      if (all.checked) chosen.add(job.id);
      else chosen.delete(job.id);
    }
    for (const box of document.querySelectorAll("main tbody input[type=checkbox]"))
      mark(box, all.checked);
    onChoose();
  };
  all.sync = (jobs) => {
    shown = jobs;
    all.checked = jobs.length > 0 && jobs.every((job) => chosen.has(job.id));
    all.indeterminate = !all.checked && chosen.size > 0;
  };
  return {
    name: "choose",
    head: all,
    left: true,
    show(cell, job, row) {
      if (!row.box) {
        row.box = h("input", { type: "checkbox", "aria-label": `Choose job ${job.id}` });
        row.box.onchange = () => {
          if (row.box.checked) chosen.add(row.item.id);
          else chosen.delete(row.item.id);
          mark(row.box, row.box.checked);
          onChoose();
        };
        replace(cell, row.box);
      }
      mark(row.box, chosen.has(job.id));
    },
  };
}

function mark(box, on) {
  box.checked = on;
  const row = box.closest("tr");
  if (row) setClass(row, "chosen", on);
}

// The beginning of a body in one line; what was searched for is marked.
function showBody(cell, job, { contains = "" }) {
  const text = job.encoding === "base64" ? hexOf(job.body) : oneLine(job.body);
  const key = `${contains}\n${text}`;
  if (cell.shown === key) return;
  cell.shown = key;
  const at = contains ? text.indexOf(contains) : -1;
  if (at === -1) {
    replace(cell, text === "" ? h("span", { class: "zero" }, "empty") : text);
    return;
  }
  const begin = at > 40 ? `\u2026${text.slice(at - 30, at)}` : text.slice(0, at);
  replace(cell, begin, h("mark", {}, contains), text.slice(at + contains.length));
}

function oneLine(body) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return text.replace(/\s+/g, " ").trim();
}

function hexOf(base64) {
  const some = atob(base64.slice(0, 64));
  return [...some].map((each) => each.charCodeAt(0).toString(16).padStart(2, "0")).join(" ");
}
