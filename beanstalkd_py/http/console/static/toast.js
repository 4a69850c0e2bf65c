// Short messages about what was done. A screen reader reads them out.

import { h } from "./dom.js";

const SHOWN_MS = 5000;

const area = h("div", { class: "toasts", role: "status" });
document.body.append(area);

// href: of a page that tells more.
export function toast(text, bad = false, href = null) {
  const content = href ? h("a", { href }, text) : text;
  const note = h("p", { class: bad ? "bad" : "good" }, content);
  area.append(note);
  setTimeout(() => note.remove(), bad ? 2 * SHOWN_MS : SHOWN_MS);
}
