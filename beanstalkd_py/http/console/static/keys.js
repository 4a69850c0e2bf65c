// The keyboard. Every control can also be reached with Tab.

import { message } from "./dialog.js";
import { h } from "./dom.js";

const GO = { o: "#/", t: "#/tubes", c: "#/connections", l: "#/log" };
const HELP = [
  ["g o", "Overview"],
  ["g t", "Tubes"],
  ["g c", "Connections"],
  ["g l", "Log"],
  ["/", "Search on this page"],
  ["j k", "Next row, row before"],
  ["Enter", "Open the row"],
  ["x", "Choose the row, or undo the choice"],
  ["p", "Put a job"],
  ["?", "This help"],
];

export function listenToKeys(context) {
  let before = "";
  addEventListener("keydown", (event) => {
    const first = before;
    before = "";
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog")) return;
    if (event.target.closest("input, textarea, select")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (first === "g" && GO[event.key]) context.go(GO[event.key]);
    else if (event.key === "g") before = "g";
    else if (event.key === "/") document.querySelector("main input[type=search]")?.focus();
    else if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "x") currentRow()?.querySelector("input[type=checkbox]")?.click();
    else if (event.key === "p") document.querySelector("main button[data-key=p]")?.click();
    else if (event.key === "?") help();
    else return;
    event.preventDefault();
  });
}

function currentRow() {
  return document.activeElement?.closest("tbody tr") ?? null;
}

// To the link of another row. It is the row's own link that gets the focus, so Enter opens it.
function move(step) {
  const rows = [...document.querySelectorAll("main tbody tr")];
  const at = rows.indexOf(currentRow());
  const next = at === -1 ? (step > 0 ? 0 : rows.length - 1) : at + step;
  rows[next]?.querySelector("a")?.focus();
}

function help() {
  const lines = HELP.flatMap(([keys, text]) => [
    h(
      "dt",
      {},
      keys.split(" ").map((key) => h("kbd", {}, key)),
    ),
    h("dd", {}, text),
  ]);
  message("Keys", h("dl", {}, lines));
}
