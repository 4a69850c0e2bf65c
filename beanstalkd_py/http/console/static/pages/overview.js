// How the server is: jobs by state, rates, the oldest ready job, the log.

import { drain, putJob } from "../actions.js";
import { get } from "../api.js";
import { LineChart } from "../charts.js";
import { OLD_S, STATES, oldestAge, tubeColumns, tubeLink } from "../columns.js";
import { h, replace, setText } from "../dom.js";
import { fact } from "../fact.js";
import { age, bytes, count, number, rate } from "../format.js";
import { Table } from "../table.js";

const BUSIEST = 10;
const LOG_EVERY_S = 3;

function chart(title, series, format) {
  const lines = new LineChart(title, series, format);
  const values = series.map(() => h("b"));
  const keys = series.map(({ label, kind }, index) =>
    h("span", {}, h("i", { class: kind }), label, " ", values[index]),
  );
  const head = h(
    "div",
    { class: "chart-head" },
    h("h2", {}, title),
    h("div", { class: "legend" }, keys),
  );
  return {
    element: h("div", { class: "card chart" }, head, lines.element),
    close: () => lines.close(),
    show(points, current) {
      lines.show(
        points.map((point) => point.at),
        series.map(({ field }) => points.map((p) => p[field])),
      );
      current.forEach((value, index) => setText(values[index], format(value)));
    },
  };
}

export function overview(context) {
  const { live } = context;
  const oldest = context.oldest;
  const facts = {
    ready: fact("Ready"),
    reserved: fact("Reserved"),
    delayed: fact("Delayed"),
    buried: fact("Buried"),
    oldest: fact("Oldest ready job", "#/tubes"),
    workers: fact("Waiting workers", context.can("connections") ? "#/connections" : null),
  };
  if (!oldest) facts.oldest.element.hidden = true;
  const rates = chart(
    "Jobs per second",
    [
      { label: "puts", kind: "puts", field: "puts", area: true },
      { label: "deletes", kind: "deletes", field: "deletes" },
    ],
    rate,
  );
  const jobs = chart(
    "Jobs",
    STATES.map((state) => ({ label: state, kind: state, field: state })),
    number,
  );
  const problems = h("ul", { class: "problems", "aria-label": "Problems" });
  const table = new Table(tubeColumns(live, oldest), (tube) => tube.name, {
    label: "Busiest tubes",
  });
  const all = h("a", { href: "#/tubes" }, "All tubes");
  const log = logCard(context);
  const draining = { on: false };
  const drainButton = h("button", { onclick: () => drain(!draining.on) }, "Drain\u2026");
  const put = h("button", { "data-key": "p", onclick: () => putJob(context) }, "Put a job");
  const actions = h("div", { class: "actions" }, context.can("drain") ? drainButton : null, put);

  function update(sample) {
    const { stats } = sample;
    showFacts(facts, sample, live);
    rates.show(live.points, [live.rate("puts"), live.rate("deletes")]);
    jobs.show(
      live.points,
      STATES.map((state) => stats[`current-jobs-${state}`]),
    );
    draining.on = String(stats.draining) === "true";
    setText(drainButton, draining.on ? "End the drain" : "Drain\u2026");
    const found = findProblems(sample, log.segments);
    replace(
      problems,
      found.map(([text, bad]) => h("li", { class: bad ? "bad" : null }, text)),
    );
    problems.hidden = found.length === 0;
    table.show(busiest(sample.tubes, live));
    setText(all, `All ${count(sample.tubes.length + sample.left_out, "tube")}`);
    log.update(sample);
  }

  const element = h(
    "div",
    {},
    h("div", { class: "title" }, h("h1", {}, "Overview"), context.full ? actions : null),
    h(
      "div",
      { class: "facts" },
      Object.values(facts).map((each) => each.element),
    ),
    problems,
    h("div", { class: "columns charts" }, rates.element, jobs.element),
    h("div", { class: "heading" }, h("h2", {}, "Busiest tubes"), all),
    table.element,
    log.element,
  );
  const close = () => {
    rates.close();
    jobs.close();
  };
  return { title: "Overview", element, update, close };
}

function showFacts(facts, { stats, tubes }, live) {
  const trend = trendOf(live.points);
  facts.ready.show(number(stats["current-jobs-ready"]), trend);
  facts.reserved.show(
    number(stats["current-jobs-reserved"]),
    `by ${count(stats["current-workers"], "worker")}`,
  );
  facts.delayed.show(number(stats["current-jobs-delayed"]));
  const buried = stats["current-jobs-buried"];
  const inTubes = tubes.filter((tube) => tube["current-jobs-buried"] > 0);
  const where =
    inTubes.length === 1 ? `in ${inTubes[0].name}` : `in ${count(inTubes.length, "tube")}`;
  facts.buried.show(number(buried), buried ? where : "", buried ? "bad" : "");
  showOldest(facts.oldest, stats, tubes);
  const connected = stats["current-connections"];
  facts.workers.show(number(stats["current-waiting"]), `of ${count(connected, "connection")}`);
}

// How the number of ready jobs changes, over the last half minute.
function trendOf(points) {
  const last = points[points.length - 1];
  const first = points.find((point) => point.at > last.at - 30);
  if (!first || last.at - first.at < 2) return "";
  const change = (last.ready - first.ready) / (last.at - first.at);
  if (Math.abs(change) < 0.05) return "steady";
  return `${change > 0 ? "+" : "\u2212"}${rate(Math.abs(change))}/s`;
}

function showOldest(fact, stats, tubes) {
  const id = stats["oldest-ready-id"];
  if (!id) {
    fact.show("\u2013", "no ready job");
    return;
  }
  const seconds = stats["oldest-ready-age"];
  const tube = tubes.find((each) => oldestAge(each) !== null && oldestAge(each) >= seconds - 1);
  fact.element.href = `#/jobs/${id}`;
  fact.show(age(seconds), tube ? `in ${tube.name}` : `job ${id}`, seconds >= OLD_S ? "warn" : "");
}

function busiest(tubes, live) {
  const weight = (tube) =>
    100 * (live.rates(tube.name).puts ?? 0) +
    tube["current-jobs-ready"] +
    tube["current-jobs-reserved"] +
    tube["current-jobs-buried"] +
    tube["current-jobs-delayed"];
  return tubes
    .map((tube) => [weight(tube), tube])
    .sort(([a], [b]) => b - a)
    .slice(0, BUSIEST)
    .map(([, tube]) => tube);
}

function findProblems({ tubes }, segments) {
  const found = [];
  if (segments?.full) found.push(["The disk is full: puts are refused.", true]);
  const paused = tubes.filter((tube) => tube["pause-time-left"] > 0);
  if (paused.length)
    found.push([[names(paused), paused.length === 1 ? " is paused." : " are paused."]]);
  const left = tubes.filter((tube) => oldestAge(tube) >= OLD_S && !tube["current-watching"]);
  if (left.length)
    found.push([
      ["Nobody watches ", names(left), `, and ${left.length === 1 ? "its" : "their"} jobs wait.`],
    ]);
  return found;
}

function names(tubes) {
  const links = tubes
    .slice(0, 3)
    .flatMap((tube) => [h("a", { href: tubeLink(tube.name) }, tube.name), ", "]);
  links.pop();
  return tubes.length > 3 ? [...links, ` and ${tubes.length - 3} more`] : links;
}

// Log health: live and dead bytes.
function logCard(context) {
  const live = h("i");
  const dead = h("i");
  const text = h("span", { class: "soft" });
  const share = h("div", { class: "share", role: "img" }, live, dead);
  const heading = h(
    "div",
    { class: "heading" },
    h("h2", {}, "Log"),
    h("a", { href: "#/log" }, "Segments"),
  );
  const element = h("div", { hidden: true }, heading, h("div", { class: "card" }, share, text));
  const card = { element, segments: null, update };
  let askedAt = 0;

  async function update({ at }) {
    if (!context.can("segments") || at < askedAt + LOG_EVERY_S) return;
    askedAt = at;
    const answer = await get("segments").catch(() => null);
    if (!answer) return;
    card.segments = answer;
    element.hidden = !answer.log;
    const sealed = answer.segments.filter((segment) => !segment.active);
    const gone = sealed.reduce((sum, each) => sum + Math.max(0, each.bytes - each.live_bytes), 0);
    const part = (value) => `${(100 * value) / Math.max(1, answer.total_bytes)}%`;
    live.style.width = part(answer.live_bytes);
    dead.style.width = part(gone);
    const parts = [
      `${bytes(answer.live_bytes)} live, ${bytes(gone)} dead`,
      count(answer.segments.length, "segment"),
      `${bytes(answer.spare_bytes)} preallocated`,
    ];
    setText(text, parts.join(" \u00b7 "));
    share.setAttribute("aria-label", text.textContent);
  }
  return card;
}
