// Short messages about what was done. A screen reader reads them out.

import { h } from "./dom.js";

const SHOWN_MS = 5000;

const area = h("div", { class: "toasts", role: "status" });
document.body.append(area);

export function toast(text, bad = false) {
  const note = h("p", { class: bad ? "bad" : "good" }, text);
  area.append(note);
  setTimeout(() => note.remove(), bad ? 2 * SHOWN_MS : SHOWN_MS);
}
