// The body of a job in three forms: JSON with colours, text, hex. Always text nodes.

import { h } from "./dom.js";

const SHOWN = 64 * 1024; // characters that are drawn at first

// bytes: a Uint8Array. The text, or null if the bytes are not UTF-8.
export function decode(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

export function parse(text) {
  if (text === null || !/^\s*[[{]/.test(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const TOKEN =
  /("(?:[^"\\]|\\.)*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

// Indents JSON without reading its values: a number of 20 digits stays as it is written.
export function indent(text) {
  let depth = 0;
  let result = "";
  const pieces = text.match(/"(?:[^"\\]|\\.)*"|[[\]{},:]|[^\s[\]{},:"]+/g) ?? [];
  const line = () => `\n${"  ".repeat(depth)}`;
  pieces.forEach((piece, index) => {
    if (piece === "{" || piece === "[") {
      depth += 1;
      const empty = pieces[index + 1] === "}" || pieces[index + 1] === "]";
      result += empty ? piece : piece + line();
    } else if (piece === "}" || piece === "]") {
      depth -= 1;
      const empty = pieces[index - 1] === "{" || pieces[index - 1] === "[";
      result += empty ? piece : line() + piece;
    } else if (piece === ",") result += `,${line()}`;
    else result += piece === ":" ? ": " : piece;
  });
  return result;
}

function coloured(text) {
  const nodes = [];
  let at = 0;
  for (const match of text.matchAll(TOKEN)) {
    nodes.push(text.slice(at, match.index));
    const kind = match[1] ? (match[2] ? "key" : "string") : "value";
    const token = match[1] ?? match[0];
    nodes.push(h("span", { class: `json-${kind}` }, token));
    at = match.index + token.length;
  }
  nodes.push(text.slice(at));
  return nodes;
}

const LINE = 16;

export function hexDump(bytes) {
  const lines = [];
  for (let at = 0; at < bytes.length; at += LINE) {
    const some = [...bytes.subarray(at, at + LINE)];
    const hex = some.map((each) => each.toString(16).padStart(2, "0"));
    const gap = [hex.slice(0, 8).join(" "), hex.slice(8).join(" ")].join("  ").padEnd(49);
    const text = some.map((each) => (each > 31 && each < 127 ? String.fromCharCode(each) : "."));
    lines.push(`${at.toString(16).padStart(8, "0")}  ${gap} |${text.join("")}|`);
  }
  return lines.join("\n");
}

// The view of a body, with a button for each form that it has.
export function bodyView(bytes) {
  const text = decode(bytes);
  const views = new Map();
  if (parse(text) !== undefined) views.set("JSON", () => cut(indent(text), coloured));
  if (text !== null) views.set("Text", () => cut(text, (some) => [some]));
  views.set("Hex", () => cut(hexDump(bytes), (some) => [some]));
  const pre = h("pre", { class: "body", tabindex: "0", "aria-label": "Body" });
  const tabs = [...views.keys()].map((name) => h("button", { onclick: () => show(name) }, name));
  function show(name) {
    pre.replaceChildren(...views.get(name)());
    for (const tab of tabs) tab.setAttribute("aria-pressed", String(tab.textContent === name));
  }
  show(tabs[0].textContent);
  return h("div", {}, h("div", { class: "forms" }, tabs), pre);
}

// A long text is cut; a button draws the rest.
function cut(text, draw) {
  if (text.length === 0) return [h("span", { class: "soft" }, "empty")];
  if (text.length <= SHOWN) return draw(text);
  const rest = h("button", { class: "more" }, `Show all (${text.length} characters)`);
  rest.onclick = () => rest.parentElement.replaceChildren(text);
  return [...draw(text.slice(0, SHOWN)), "\n", rest];
}
