// Elements, made by hand. Text becomes text nodes only: nothing from a job is parsed as markup.

const SVG = "http://www.w3.org/2000/svg";

// h("a", { class: "x", href: "#/", onclick: f }, "text", child). A property that is a function, or
// one of PROPERTIES, is set as a property; null and false are left out; anything else is an
// attribute.
const PROPERTIES = new Set(["checked", "disabled", "hidden", "indeterminate", "value"]);

export function h(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

export function svg(tag, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function" || PROPERTIES.has(name)) element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined));
  return element;
}

// Sets the text of an element, if it is another one: an unchanged page costs no layout.
export function setText(element, text) {
  const wanted = String(text);
  if (element.textContent !== wanted) element.textContent = wanted;
}

export function setClass(element, name, on) {
  if (element.classList.contains(name) !== Boolean(on)) element.classList.toggle(name, Boolean(on));
}

export function replace(element, ...children) {
  element.replaceChildren(...children.flat(3).filter((child) => child !== null));
}
