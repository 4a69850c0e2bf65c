// One tube: its jobs in one state, page by page; search; actions on some jobs or all that match.

import { ACTIONS, actOnMany, pause, putJob, resume, setPolicy, truncate } from "../actions.js";
import { get, queryText, tubePath } from "../api.js";
import { OLD_S, STATES, oldestAge, tubeLink } from "../columns.js";
import { h, replace, setClass, setText } from "../dom.js";
import { age, count, duration, number, parseDuration, rate } from "../format.js";
import { jobColumns } from "../jobs.js";
import { Table } from "../table.js";

const PAGE = 50;
const RELOAD_MS = 1500; // at most so often while the figures change
const TYPED_MS = 250;

export function tube(context, [name, chosenState], query) {
  const { live } = context;
  // Without a state in the address, the first one that has jobs.
  const first = () => STATES.find((each) => figures?.[`current-jobs-${each}`] > 0) ?? "ready";
  let figures = live.tube(name);
  const state = chosenState ?? first();
  const searchable = context.can("search");
  const matchable = context.can("matching");
  const listable = context.can("jobs");
  const cursors = [null]; // of the pages up to this one
  let next = null;
  let loadedFor = "";
  let loading = false;
  let loadedAt = 0;
  let jobs = [];
  const chosen = new Set();

  // --- what is searched for

  const search = h("input", {
    type: "search",
    placeholder: "Find in bodies ( / )",
    "aria-label": "Find in bodies",
    value: query.get("contains") ?? "",
    oninput: () => typed(),
    spellcheck: "false",
  });
  const older = h("input", {
    class: "short",
    placeholder: "Older than",
    "aria-label": "Older than, such as 2 h",
    value: query.get("age") ?? "",
    oninput: () => typed(),
  });
  const attempts = h("input", {
    class: "short",
    type: "number",
    min: 0,
    placeholder: "Attempts \u2265",
    "aria-label": "Attempts, at least",
    value: query.get("attempts") ?? "",
    oninput: () => typed(),
  });
  const filter = () => ({
    contains: search.value,
    min_age: parseDuration(older.value) ?? "",
    min_attempts: attempts.value,
  });
  const filtered = () => Object.values(filter()).some((value) => value !== "");
  // As a request's body: numbers are numbers.
  const match = () => {
    const given = Object.entries(filter()).filter(([, value]) => value !== "");
    const typedValue = ([key, value]) => [key, key === "contains" ? value : Number(value)];
    return { state, ...Object.fromEntries(given.map(typedValue)) };
  };
  let timer = 0;
  function typed() {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const asked = queryText({
        contains: search.value,
        age: older.value,
        attempts: attempts.value,
      });
      history.replaceState(null, "", tubeLink(name, state, asked));
      firstPage();
    }, TYPED_MS);
  }

  // --- the jobs

  const note = h("p", { class: "empty", role: "status" });
  const columns = jobColumns(state, { chosen, onChoose: showActions, full: context.full, filter });
  const table = new Table(columns, (job) => job.id, {
    label: `${state} jobs of ${name}`,
    empty: "",
  });
  const back = h("button", { onclick: () => turn(-1) }, "Previous page");
  const forward = h("button", { onclick: () => turn(1) }, "Next page");
  const where = h("span");
  const pager = h("div", { class: "pager" }, where, back, forward);

  function firstPage() {
    cursors.length = 1;
    chosen.clear();
    load();
  }

  function turn(step) {
    if (step > 0) cursors.push(next);
    else cursors.pop();
    chosen.clear();
    load();
    table.element.scrollIntoView({ block: "nearest" });
  }

  let request = 0;
  async function load() {
    if (!listable) return showNote("This server cannot list jobs.");
    request += 1;
    const mine = request;
    loading = true;
    loadedFor = counters(figures, state);
    if (!figures && live.sample?.left_out === 0) return none("There is no such tube now.");
    const asked = { state, limit: PAGE, cursor: cursors[cursors.length - 1], ...filter() };
    try {
      const answer = await get(tubePath(name, `/jobs${queryText(asked)}`));
      if (mine !== request) return null;
      jobs = answer.jobs;
      next = answer.cursor;
      showJobs();
    } catch (error) {
      if (mine === request)
        none(error.code === "no_tube" ? "There is no such tube now." : error.message);
      return null;
    }
    loading = false;
    loadedAt = Date.now();
    return null;
  }

  function none(text) {
    jobs = [];
    next = null;
    loading = false;
    loadedAt = Date.now();
    showJobs();
    showNote(text);
    return null;
  }

  function showJobs() {
    const ids = new Set(jobs.map((job) => job.id));
    for (const id of chosen) if (!ids.has(id)) chosen.delete(id);
    table.show(jobs);
    showNote(jobs.length ? "" : filtered() ? "No job matches." : `No ${state} jobs.`);
    back.disabled = cursors.length === 1;
    const last = next === null || (jobs.length < PAGE && !filtered());
    forward.disabled = last;
    pager.hidden = cursors.length === 1 && last;
    const from = (cursors.length - 1) * PAGE;
    setText(
      where,
      jobs.length && !filtered()
        ? `Jobs ${number(from + 1)} to ${number(from + jobs.length)}`
        : `Page ${cursors.length}`,
    );
    showActions();
  }

  function showNote(text) {
    if (!searchable && listable && jobs.length === 1) {
      text = `This server tells only the first ${state} job.`;
    }
    setText(note, text);
    note.hidden = text === "";
    table.element.hidden = jobs.length === 0;
  }

  // --- what can be done

  const buttons = Object.entries(ACTIONS)
    .filter(
      ([action, { states }]) =>
        states.includes(state) && (action !== "move" || context.can("move")),
    )
    .map(([action, { danger }]) => ({
      action,
      element: h("button", { class: danger ? "danger" : null, onclick: () => act(action) }),
    }));
  const bar = h(
    "div",
    { class: "actions", role: "group", "aria-label": "Actions" },
    buttons.map((each) => each.element),
  );

  function showActions() {
    for (const { action, element } of buttons) {
      const { title } = ACTIONS[action];
      const some = chosen.size > 0;
      const all = `all ${number(figures?.[`current-jobs-${state}`] ?? 0)}`;
      const what = some ? `${number(chosen.size)} chosen` : filtered() ? "all that match" : all;
      setText(element, `${title} ${what}\u2026`);
      element.disabled = !some && (!matchable || jobs.length === 0);
    }
    table.heads[0].firstElementChild?.sync?.(jobs);
  }

  async function act(action) {
    const ids = chosen.size ? [...chosen] : null;
    const found = !ids && filtered() ? ` that match ${described(filter())}` : "";
    if (await actOnMany(context, name, action, ids, match(), found)) {
      chosen.clear();
      firstPage();
    }
  }

  async function put() {
    if ((await putJob(context, name)) !== null && figures) load();
  }

  const pauseButton = h("button", { onclick: () => (isPaused() ? resume(name) : pause(name)) });
  const isPaused = () => figures?.["pause-time-left"] > 0;
  const actions = h(
    "div",
    { class: "actions" },
    h("button", { "data-key": "p", onclick: put }, "Put a job"),
    pauseButton,
    context.can("policy") ? h("button", { onclick: () => setPolicy(name) }, "Policy\u2026") : null,
    context.can("truncate")
      ? h("button", { class: "danger", onclick: () => truncate(name) }, "Delete all jobs\u2026")
      : null,
  );

  // --- live figures

  const tabs = STATES.map((each) => {
    const value = h("b");
    const current = each === state ? "page" : null;
    const link = h("a", { href: tubeLink(name, each), "aria-current": current }, each, value);
    return { each, value, link };
  });
  const paused = h("span", { class: "pill delayed", hidden: true });
  const oldest = h("span");
  const facts = h("span");
  const gone = h(
    "div",
    { class: "card soft", hidden: true },
    "This tube does not exist now. It exists while it has jobs, or clients that use or watch it.",
  );

  function update(sample) {
    figures = sample.tubes.find((each) => each.name === name) ?? null;
    if (!figures && sample.left_out) getAlone();
    show();
    const changed = counters(figures, state) !== loadedFor;
    const due = Date.now() - loadedAt > RELOAD_MS;
    if (changed && due && !loading && chosen.size === 0 && !document.querySelector("dialog"))
      load();
  }

  // Of more tubes than a sample has.
  async function getAlone() {
    figures = await get(tubePath(name)).catch(() => null);
    show();
  }

  function show() {
    for (const { each, value } of tabs)
      setText(value, number(figures?.[`current-jobs-${each}`] ?? 0));
    paused.hidden = !isPaused();
    setText(paused, isPaused() ? `paused for ${duration(figures["pause-time-left"])}` : "");
    setText(pauseButton, isPaused() ? "Resume" : "Pause\u2026");
    gone.hidden = figures !== null;
    showActions();
    const seconds = oldestAge(figures);
    const old = seconds !== null;
    setText(oldest, old ? `Oldest ready job ${age(seconds)}` : "");
    setClass(oldest, "delayed", old && seconds >= OLD_S);
    setText(facts, figures ? `${old ? " \u00b7 " : ""}${describe(figures, live.rates(name))}` : "");
  }

  const crumb = h("span", { class: "crumb" }, h("a", { href: "#/tubes" }, "Tubes"), " /");
  const searchBar = h("div", { class: "bar" }, search, older, attempts);
  searchBar.hidden = !searchable;
  const element = h(
    "div",
    {},
    h(
      "div",
      { class: "title" },
      h("h1", {}, crumb, name, " ", paused),
      context.full ? actions : null,
    ),
    gone,
    h("p", { class: "soft" }, oldest, facts),
    h(
      "nav",
      { class: "states", "aria-label": "States" },
      tabs.map(({ link }) => link),
    ),
    searchBar,
    context.full && buttons.length ? h("div", { class: "bar" }, bar) : null,
    table.element,
    note,
    pager,
  );
  replace(note);
  note.hidden = true;
  pager.hidden = true;
  show();
  showActions();
  load();
  return { title: name, element, update, close: () => clearTimeout(timer) };
}

// What changes when a page of this state may have changed.
function counters(figures, state) {
  if (!figures) return "";
  const keys = [`current-jobs-${state}`, "total-jobs", "cmd-delete"];
  return keys.map((key) => figures[key]).join(" ");
}

function describe(figures, rates) {
  const parts = [];
  if (rates.puts !== null) {
    parts.push(`${rate(rates.puts)} puts/s`, `${rate(rates.deletes)} deletes/s`);
  }
  const [watching, waiting] = [figures["current-watching"], figures["current-waiting"]];
  parts.push(`${number(watching)} watching, ${number(waiting)} waiting`);
  parts.push(`${count(figures["total-jobs"], "job")} since the start`);
  return parts.join(" \u00b7 ");
}

function described({ contains, min_age: minAge, min_attempts: minAttempts }) {
  const parts = [];
  if (contains) parts.push(`\u201c${contains}\u201d`);
  if (minAge !== "") parts.push(`older than ${age(minAge)}`);
  if (minAttempts !== "") parts.push(`at least ${count(Number(minAttempts), "attempt")}`);
  return parts.join(", ");
}
