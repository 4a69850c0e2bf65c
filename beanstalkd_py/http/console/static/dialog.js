// Questions to the user, in the browser's own dialog: it keeps the focus, and Escape closes it.

import { h, setText } from "./dom.js";

// Opens a dialog. content(close): makes what is in it. Resolves to what `close` is called with;
// null: cancelled.
function open(title, content, className = "") {
  return new Promise((resolve) => {
    const heading = h("h2", { id: "dialog-title" }, title);
    const dialog = h("dialog", { "aria-labelledby": "dialog-title", class: className }, heading);
    let result = null;
    const close = (value) => {
      result = value;
      dialog.close();
    };
    dialog.append(content(close));
    dialog.onclose = () => {
      dialog.remove();
      resolve(result);
    };
    document.body.append(dialog);
    dialog.showModal();
    dialog.querySelector("[autofocus]")?.focus();
  });
}

export function field(label, input, hint = null) {
  return h("label", { class: "field" }, h("span", {}, label), input, hint && h("small", {}, hint));
}

// A form with an action that may fail: then the dialog stays open, and shows why. submit(): does it
// and resolves to the result of the dialog.
export function form(title, fields, { action, danger = false, submit, ready = () => true, wide }) {
  return open(
    title,
    (close) => {
      const error = h("p", { class: "error", role: "alert", hidden: true });
      const button = h("button", { class: danger ? "danger" : "primary" }, action);
      const cancel = h("button", { type: "button", onclick: () => close(null) }, "Cancel");
      const check = () => {
        button.disabled = !ready();
      };
      const onsubmit = async (event) => {
        event.preventDefault();
        button.disabled = true;
        error.hidden = true;
        try {
          close(await submit());
        } catch (problem) {
          setText(error, problem.message);
          error.hidden = false;
          check();
        }
      };
      check();
      const buttons = h("div", { class: "buttons" }, cancel, button);
      const onkeydown = (event) => {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) button.click();
      };
      return h("form", { onsubmit, onkeydown, oninput: check }, fields, error, buttons);
    },
    wide ? "wide" : "",
  );
}

// Asks before something that cannot be undone. word: what the user must type; null: a click does.
export function confirm(title, lines, { action, danger, word = null, submit }) {
  const input = h("input", { autofocus: true, autocomplete: "off", spellcheck: "false" });
  const fields = lines.map((line) => h("p", {}, line));
  if (word !== null) {
    const typed = field("", input);
    typed.firstElementChild.append("Type ", h("b", { class: "word" }, word), " to confirm");
    fields.push(typed);
  }
  const ready = () => word === null || input.value === word;
  return form(title, fields, { action, danger, ready, submit });
}

// A page of help, without a question.
export function message(title, ...content) {
  return open(title, (close) => {
    const button = h(
      "button",
      { class: "primary", autofocus: true, onclick: () => close() },
      "Close",
    );
    return h("div", {}, content, h("div", { class: "buttons" }, button));
  });
}
