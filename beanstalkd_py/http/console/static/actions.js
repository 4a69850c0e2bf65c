// What a user can do to jobs and tubes: the dialogs, the requests, and what was done as a message.

import { get, post, tubePath } from "./api.js";
import { confirm, field, form } from "./dialog.js";
import { h } from "./dom.js";
import { count, number, parseDuration } from "./format.js";
import { toast } from "./toast.js";

// For each action: the states that it can be done to, and its words. `danger`: it cannot be undone.
export const ACTIONS = {
  kick: { states: ["delayed", "buried"], title: "Kick", done: "kicked" },
  bury: { states: ["ready", "delayed"], title: "Bury", done: "buried" },
  move: { states: ["ready", "delayed", "buried"], title: "Move", done: "moved" },
  delete: {
    states: ["ready", "delayed", "buried"],
    title: "Delete",
    done: "deleted",
    danger: true,
  },
};

const TUBE_PATTERN = "[A-Za-z0-9+\\/;.$_\\(\\)][A-Za-z0-9+\\/;.$_\\(\\)\\-]{0,199}";

function tubeInput(value, known) {
  const list = h(
    "datalist",
    { id: "tube-names" },
    known.map((name) => h("option", { value: name })),
  );
  const input = h("input", {
    value,
    list: "tube-names",
    required: true,
    pattern: TUBE_PATTERN,
    autocomplete: "off",
    spellcheck: "false",
    title: "Letters, digits and + / ; . $ _ ( ) -, at most 200",
  });
  return { input, list };
}

function names(context) {
  return (context.live.sample?.tubes ?? []).slice(0, 500).map((tube) => tube.name);
}

// Does an action to one job. Resolves to whether it was done.
export async function actOnJob(context, job, action) {
  const { title, done } = ACTIONS[action];
  const submit = async (more = {}) => {
    await post(`jobs/${job.id}/${action}`, more);
    toast(`Job ${job.id} was ${done}.`);
    return true;
  };
  if (action === "move") {
    const title = `Move job ${job.id}`;
    return askTarget(context, job.tube, title, submit, [], job.origin); // a dead letter: back
  }
  if (action === "delete") {
    const lines = [`Job ${job.id} of the tube ${job.tube} is deleted. That cannot be undone.`];
    return confirm(`Delete job ${job.id}`, lines, { action: title, danger: true, submit });
  }
  try {
    return await submit();
  } catch (error) {
    toast(error.message, true);
    return false;
  }
}

function askTarget(context, from, title, submit, lines = [], to = "") {
  const { input, list } = tubeInput(to, names(context));
  input.autofocus = true;
  input.setAttribute("autofocus", "");
  return form(
    title,
    [...lines.map((line) => h("p", {}, line)), field("To the tube", input), list],
    {
      action: "Move",
      ready: () => input.value !== "" && input.value !== from,
      submit: () => submit({ to: input.value }),
    },
  );
}

// Does an action to many jobs: first counts them, then asks, then does it. ids: of the chosen jobs;
// null: all that match. `match`: the filter, with the state. Resolves to whether it was done.
export async function actOnMany(context, tube, action, ids, match, found) {
  const path = ids ? `actions/${action}` : tubePath(tube, `/jobs/${action}`);
  const body = ids ? { ids } : match;
  let matched;
  try {
    const preview = { ...body, preview: true };
    if (action === "move") preview.to = tube;
    matched = (await post(path, preview)).matched;
  } catch (error) {
    toast(error.message, true);
    return false;
  }
  const { title, done, danger } = ACTIONS[action];
  if (matched === 0) {
    toast("No job matches.");
    return false;
  }
  const jobs = count(matched, `${ids ? "chosen" : match.state} job`);
  const submit = async (more = {}) => {
    const request = ids ? { ids } : { ...match, limit: matched };
    report(await post(path, { ...request, ...more }), done);
    return true;
  };
  const lines = [`${jobs} of the tube ${tube}${found}.`];
  const heading = `${title} ${jobs}`;
  if (action === "move") return askTarget(context, tube, heading, submit, lines);
  if (danger) lines.push("They are deleted. That cannot be undone.");
  const word = danger || matched >= 1000 ? String(matched) : null;
  return confirm(heading, lines, { action: title, danger, word, submit });
}

function report(result, done) {
  if (result.failed === 0) toast(`${count(result.done, "job was", "jobs were")} ${done}.`);
  else {
    const why = result.failures[0] ? `: ${result.failures[0].message}` : "";
    const text = `${number(result.done)} of ${count(result.matched, "job")} ${done}`;
    toast(`${text}; ${number(result.failed)} failed${why}`, true);
  }
}

export async function truncate(tube) {
  let matched;
  try {
    matched = (await post(tubePath(tube, "/truncate"), { preview: true })).matched;
  } catch (error) {
    toast(error.message, true);
    return;
  }
  const jobs = count(matched, "job");
  const lines = [
    `${jobs} of the tube ${tube}: the ready, delayed and buried ones. Reserved jobs stay.`,
    "That cannot be undone.",
  ];
  await confirm(`Delete all jobs of ${tube}`, lines, {
    action: `Delete ${jobs}`,
    danger: true,
    word: tube,
    submit: async () => report(await post(tubePath(tube, "/truncate"), {}), "deleted"),
  });
}

export async function pause(tube) {
  const input = h("input", { value: "10 min", autofocus: true, autocomplete: "off" });
  const seconds = () => parseDuration(input.value);
  await form(
    `Pause ${tube}`,
    [
      h("p", {}, "Its ready jobs are not given to workers until the pause ends. Puts go on."),
      field("For", input, "Such as 90 s, 10 min, 2 h or 1 d"),
    ],
    {
      action: "Pause",
      ready: () => seconds() > 0,
      submit: async () => {
        await post(tubePath(tube, "/pause"), { seconds: seconds() });
        toast(`${tube} is paused.`);
      },
    },
  );
}

export async function resume(tube) {
  try {
    await post(tubePath(tube, "/resume"));
    toast(`${tube} is not paused any more.`);
  } catch (error) {
    toast(error.message, true);
  }
}

export async function putJob(context, tube = "default") {
  const { input, list } = tubeInput(tube, names(context));
  const body = h("textarea", { rows: 8, autofocus: true, spellcheck: "false" });
  const pri = h("input", { type: "number", min: 0, max: 4294967295, value: 1024, required: true });
  const delay = h("input", { value: "0 s", autocomplete: "off" });
  const ttr = h("input", { value: "60 s", autocomplete: "off" });
  const pretty = h("small", { class: "soft" });
  const ready = () => {
    const isJson = /^\s*[[{]/.test(body.value);
    pretty.textContent = isJson ? jsonHint(body.value) : "";
    return parseDuration(delay.value) !== null && parseDuration(ttr.value) > 0;
  };
  return form(
    "Put a job",
    [
      field("Tube", input),
      list,
      field("Body", body),
      pretty,
      h("div", { class: "row" }, field("Priority", pri), field("Delay", delay), field("TTR", ttr)),
    ],
    {
      action: "Put",
      wide: true,
      ready,
      submit: async () => {
        const { id } = await post("jobs", {
          tube: input.value,
          body: body.value,
          pri: Number(pri.value),
          delay: parseDuration(delay.value),
          ttr: parseDuration(ttr.value),
        });
        toast(`Job ${id} was put into ${input.value}.`, false, `#/jobs/${id}`);
        return id;
      },
    },
  );
}

function jsonHint(text) {
  try {
    JSON.parse(text);
    return "Valid JSON";
  } catch (error) {
    return `Not valid JSON: ${error.message}`;
  }
}

// The policy of a tube: what the server applies to its jobs by itself.
const SETTINGS = [
  ["max-attempts", "Attempts", "A job is delivered at most so often. 0: no limit"],
  ["dead-tube", "Dead tube", "Where such a job goes, and an expired one. Empty: it is buried"],
  ["expire", "Expiry in seconds", "After the put. 0: never"],
  ["max-jobs", "Most jobs", "Further puts are refused. 0: no limit"],
  ["max-bytes", "Most bytes of bodies", "Further puts are refused. 0: no limit"],
  ["max-reserved", "Most reserved jobs", "At a time. 0: no limit"],
];

export async function setPolicy(tube) {
  const figures = await get(tubePath(tube)).catch(() => null);
  const inputs = SETTINGS.map(([name]) => {
    const value = figures?.[name] ?? (name === "dead-tube" ? "" : 0);
    const type = name === "dead-tube" ? { pattern: TUBE_PATTERN } : { type: "number", min: 0 };
    return h("input", { ...type, value, autocomplete: "off" });
  });
  const before = inputs.map((input) => input.value);
  const changed = () => inputs.some((input, index) => input.value !== before[index]);
  await form(
    `Policy of ${tube}`,
    h(
      "div",
      { class: "settings" },
      SETTINGS.map(([, label, hint], index) => field(label, inputs[index], hint)),
    ),
    {
      action: "Save",
      ready: changed,
      wide: true,
      submit: async () => {
        const settings = {};
        SETTINGS.forEach(([name], index) => {
          const { value } = inputs[index];
          if (value !== before[index])
            settings[name] = name === "dead-tube" ? value : Number(value);
        });
        await post(tubePath(tube, "/policy"), settings);
        toast(`The policy of ${tube} was changed.`);
      },
    },
  );
}

export async function drain(on) {
  const lines = [
    "Producers get DRAINING for each put until the server is told to accept them again.",
  ];
  const submit = async () => {
    await post("drain", { on });
    toast(on ? "Puts are refused now." : "Puts are accepted again.");
  };
  if (on)
    await confirm("Drain: refuse puts", lines, { action: "Refuse puts", danger: true, submit });
  else await submit().catch((error) => toast(error.message, true));
}
