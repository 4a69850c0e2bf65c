// Name and password. The browser keeps the session as a cookie that no script can read.

import { post } from "../api.js";
import { field } from "../dialog.js";
import { h, setText } from "../dom.js";

// begin: called when the user is logged in.
export function login(begin) {
  const name = h("input", {
    autocomplete: "username",
    required: true,
    autofocus: true,
    name: "name",
  });
  const password = h("input", {
    type: "password",
    autocomplete: "current-password",
    required: true,
    name: "password",
  });
  const error = h("p", { class: "error", role: "alert", hidden: true });
  const button = h("button", { class: "primary" }, "Log in");
  const onsubmit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    error.hidden = true;
    try {
      await post("login", { name: name.value, password: password.value });
      await begin();
    } catch (problem) {
      setText(error, problem.message);
      error.hidden = false;
      password.select();
    }
    button.disabled = false;
  };
  const form = h(
    "form",
    { class: "card", onsubmit },
    field("Name", name),
    field("Password", password),
    error,
    h("div", { class: "buttons" }, button),
  );
  const element = h(
    "div",
    { class: "login" },
    h("div", { class: "title" }, h("h1", {}, "Log in")),
    form,
  );
  return { title: "Log in", element, isLogin: true };
}
