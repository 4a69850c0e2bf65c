// Small charts as SVG. Colours come from the classes of style.css.

import { replace, svg } from "./dom.js";

const HEIGHT = 150;
const LEFT = 46;
const RIGHT = 6;
const TOP = 10;
const BOTTOM = 22;
const WINDOWS = [60, 120, 300, 600]; // seconds that the chart is wide: the least that shows all

// The smallest of 1, 2, 5, 10, 20, ... that is not below the value.
export function niceTop(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((each) => each * power).find((each) => each >= value * 0.9999);
}

// A chart of lines over time. series: [{ label, kind, values }], all as long as `times` (seconds).
// Missing values are null. `format` makes the text of a value.
export class LineChart {
  constructor(label, series, format) {
    this.series = series;
    this.format = format;
    this.seconds = WINDOWS[0];
    this.times = [];
    this.values = [];
    this.pointer = null;
    this.element = svg("svg", { class: "lines", role: "img", "aria-label": label });
    this.element.onpointermove = (event) => this.#point(event.offsetX);
    this.element.onpointerleave = () => this.#point(null);
    this.resize = new ResizeObserver(() => this.draw());
    this.resize.observe(this.element);
  }

  close() {
    this.resize.disconnect();
  }

  show(times, values) {
    this.times = times;
    this.values = values;
    const known = times[times.length - 1] - times[0];
    this.seconds = WINDOWS.find((each) => known <= each) ?? WINDOWS[WINDOWS.length - 1];
    this.draw();
  }

  #point(x) {
    this.pointer = x;
    this.draw();
  }

  draw() {
    const width = this.element.clientWidth;
    if (width === 0 || this.times.length === 0) return;
    const end = this.times.length ? this.times[this.times.length - 1] : 0;
    const most = Math.max(0, ...this.values.flat().filter((value) => value !== null));
    const top = niceTop(most);
    const x = (time) => width - RIGHT - ((end - time) / this.seconds) * (width - LEFT - RIGHT);
    const y = (value) => HEIGHT - BOTTOM - (value / top) * (HEIGHT - TOP - BOTTOM);
    this.element.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    replace(
      this.element,
      this.#grid(width, top, y),
      this.#times(width, x, end),
      this.series.map((each, index) => this.#line(each, this.values[index], x, y)),
      this.#readout(width, x, y),
    );
  }

  #grid(width, top, y) {
    return [0, 0.5, 1].flatMap((part) => {
      const at = y(part * top);
      return [
        svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: at, y2: at }),
        svg("text", { x: LEFT - 8, y: at + 4, "text-anchor": "end" }, this.format(part * top)),
      ];
    });
  }

  #times(width, x, end) {
    const step = this.seconds / (width < 500 || this.seconds < 300 ? 2 : 5);
    const marks = [];
    for (let ago = 0; ago <= this.seconds; ago += step) {
      const anchor = ago === 0 ? "end" : ago === this.seconds ? "start" : "middle";
      const text = ago === 0 ? "now" : `\u2212${ago < 60 ? `${ago} s` : `${ago / 60} min`}`;
      const at = { x: x(end - ago), y: HEIGHT - 6, "text-anchor": anchor };
      marks.push(svg("text", at, text));
    }
    return marks;
  }

  #line(series, values, x, y) {
    const points = [];
    let pen = "M";
    let first = null;
    values.forEach((value, index) => {
      const at = x(this.times[index]);
      if (value === null || at < LEFT - 1) {
        pen = "M";
        return;
      }
      first ??= at;
      points.push(`${pen}${at.toFixed(1)} ${y(value).toFixed(1)}`);
      pen = "L";
    });
    const line = svg("path", { class: `line ${series.kind}`, d: points.join("") });
    if (!series.area || points.length < 2) return [line];
    const last = x(this.times[this.times.length - 1]);
    const over = points.join("").replaceAll("M", "L").replace("L", "M");
    const area = `${over}L${last} ${y(0)}L${first} ${y(0)}Z`;
    return [svg("path", { class: `area ${series.kind}`, d: area }), line];
  }

  // What the lines show where the pointer is.
  #readout(width, x, y) {
    if (this.pointer === null || this.times.length === 0) return [];
    const distance = (index) => Math.abs(x(this.times[index]) - this.pointer);
    let nearest = 0;
    for (let index = 1; index < this.times.length; index += 1) {
      if (distance(index) < distance(nearest)) nearest = index;
    }
    const at = x(this.times[nearest]);
    if (at < LEFT - 1) return [];
    const marks = [svg("line", { class: "pointer", x1: at, x2: at, y1: TOP, y2: HEIGHT - BOTTOM })];
    const texts = [];
    this.series.forEach((series, index) => {
      const value = this.values[index][nearest];
      if (value === null) return;
      marks.push(svg("circle", { class: `dot ${series.kind}`, cx: at, cy: y(value), r: 3.5 }));
      texts.push(
        svg("tspan", { class: series.kind, dx: 10 }, `${series.label} ${this.format(value)}`),
      );
    });
    const left = at < width / 2;
    const place = { class: "readout", x: left ? at : at - 10, y: TOP + 6 };
    marks.push(svg("text", { ...place, "text-anchor": left ? "start" : "end" }, texts));
    return marks;
  }
}

// A line without axes, for a row of a table.
export class Sparkline {
  constructor(width = 90, height = 20) {
    this.width = width;
    this.height = height;
    this.path = svg("path", { class: "line puts" });
    const box = { class: "spark", width, height, "aria-hidden": "true" };
    this.element = svg("svg", { ...box, viewBox: `0 0 ${width} ${height}` }, this.path);
  }

  show(values, slots) {
    const known = values.filter((value) => value !== null);
    const most = Math.max(...known, 0);
    const step = this.width / Math.max(1, slots - 1);
    const start = this.width - step * (values.length - 1);
    let pen = "M";
    const line = values.map((value, index) => {
      if (value === null) {
        pen = "M";
        return "";
      }
      const y = this.height - 2 - (most > 0 ? (value / most) * (this.height - 4) : 0);
      const point = `${pen}${(start + index * step).toFixed(1)} ${y.toFixed(1)}`;
      pen = "L";
      return point;
    });
    this.path.setAttribute("d", line.join(""));
    this.path.classList.toggle("flat", most === 0);
  }
}
