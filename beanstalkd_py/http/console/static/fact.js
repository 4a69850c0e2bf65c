// A figure with its label and a note: a tile at the top of a page.

import { h, setClass, setText } from "./dom.js";

// href: of the page that tells more; null: none. show(value, note, level): level is "", "warn" or
// "bad".
export function fact(label, href = null) {
  const strong = h("strong", {}, "\u2013");
  const small = h("small");
  const element = h(
    href ? "a" : "div",
    { class: "fact", href },
    h("span", {}, label),
    strong,
    small,
  );
  return {
    element,
    show(value, note = "", level = "") {
      setText(strong, value);
      setText(small, note);
      setClass(element, "warn", level === "warn");
      setClass(element, "bad", level === "bad");
    },
  };
}
