// A page that is not there, or cannot be shown.

import { h } from "../dom.js";

export function missing(text, again = null) {
  const button = again && h("button", { onclick: again }, "Try again");
  const back = again ? null : h("p", {}, h("a", { href: "#/" }, "To the overview"));
  return {
    title: "Not here",
    element: h("div", { class: "empty" }, h("p", {}, text), button, back),
  };
}
