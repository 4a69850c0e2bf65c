// The stream of samples, and what the page remembers of it: rates and the last ten minutes.
//
// While the page is hidden, the stream is closed. Counters only grow, so a gap has a rate too.

const KEPT_S = 600;
const TUBE_SLOTS = 60;
const RETRY_MS = 2000;
const STORED = "beanstalkd-console";

// What of a sample is kept for the charts.
const STATES = ["ready", "reserved", "delayed", "buried"];

export class Live {
  // onState: called with "live" or "lost", and why. onRefused: called when the stream was refused:
  // the reason may be a login that has ended.
  constructor({ onState, onRefused }) {
    this.onState = onState;
    this.onRefused = onRefused;
    this.sample = null;
    this.points = restored();
    this.tubes = new Map();
    this.listeners = new Set();
    this.source = null;
    this.retry = 0;
    this.wanted = false;
    document.addEventListener("visibilitychange", () => this.#followVisibility());
    addEventListener("pagehide", () => store(this.sample, this.points));
  }

  start() {
    this.wanted = true;
    this.#followVisibility();
  }

  stop() {
    this.wanted = false;
    this.#close();
  }

  // f(sample): called for each sample, and at once for the last one.
  listen(f) {
    this.listeners.add(f);
    if (this.sample) f(this.sample);
    return () => this.listeners.delete(f);
  }

  #followVisibility() {
    if (this.wanted && !document.hidden) this.#open();
    else this.#close();
  }

  #open() {
    if (this.source) return;
    clearTimeout(this.retry);
    this.source = new EventSource("api/events");
    this.source.addEventListener("sample", (event) => this.#take(JSON.parse(event.data)));
    this.source.addEventListener("trouble", (event) => {
      this.onState("lost", JSON.parse(event.data).error.message);
    });
    this.source.onerror = () => this.#lost();
  }

  #close() {
    clearTimeout(this.retry);
    this.source?.close();
    this.source = null;
  }

  #lost() {
    this.onState("lost");
    this.#close();
    this.retry = setTimeout(() => {
      if (!this.wanted || document.hidden) return;
      this.#open();
      this.onRefused();
    }, RETRY_MS);
  }

  #take(sample) {
    const last = this.sample;
    this.sample = sample;
    this.#remember(sample);
    const known = new Map((last?.tubes ?? []).map((tube) => [tube.name, tube]));
    const seconds = last ? sample.at - last.at : 0;
    for (const tube of sample.tubes) this.#rememberTube(tube, known.get(tube.name), seconds);
    if (this.tubes.size > sample.tubes.length) this.#forgetTubes(sample);
    this.onState("live");
    for (const listener of this.listeners) listener(sample);
  }

  #remember({ at, stats }) {
    const last = this.points[this.points.length - 1];
    if (last && (stats.id !== last.id || stats.uptime < last.uptime || at <= last.at)) {
      this.points = [];
    }
    const point = { at, id: stats.id, uptime: stats.uptime, puts: null, deletes: null };
    point.put = stats["total-jobs"];
    point.deleted = stats["cmd-delete"];
    for (const state of STATES) point[state] = stats[`current-jobs-${state}`];
    const before = this.points[this.points.length - 1];
    if (before) {
      point.puts = (point.put - before.put) / (at - before.at);
      point.deletes = (point.deleted - before.deleted) / (at - before.at);
    }
    this.points.push(point);
    while (this.points[0].at < at - KEPT_S - 5) this.points.shift();
  }

  #rememberTube(tube, before, seconds) {
    const kept = this.tubes.get(tube.name) ?? { puts: [], rate: null, deletes: null };
    this.tubes.set(tube.name, kept);
    const put = before && seconds > 0 ? tube["total-jobs"] - before["total-jobs"] : -1;
    if (put < 0) return;
    kept.rate = put / seconds;
    kept.deletes = Math.max(0, tube["cmd-delete"] - before["cmd-delete"]) / seconds;
    kept.puts.push(kept.rate);
    if (kept.puts.length > TUBE_SLOTS) kept.puts.shift();
  }

  #forgetTubes(sample) {
    const names = new Set(sample.tubes.map((tube) => tube.name));
    for (const name of this.tubes.keys()) if (!names.has(name)) this.tubes.delete(name);
  }

  tube(name) {
    return this.sample?.tubes.find((tube) => tube.name === name) ?? null;
  }

  // Jobs per second that were put into the tube, and deleted from it: of the last samples.
  rates(name) {
    const kept = this.tubes.get(name);
    return { puts: mean(kept?.puts.slice(-5)), deletes: kept?.deletes ?? null };
  }

  history(name) {
    return this.tubes.get(name)?.puts ?? [];
  }

  // The last rate of all tubes, over some samples, so that it can be read.
  rate(field) {
    return mean(this.points.slice(-5).map((point) => point[field]));
  }
}

export { TUBE_SLOTS };

function mean(values) {
  const known = (values ?? []).filter((value) => value !== null);
  return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
}

// A reload of the page keeps its charts.
function store(sample, points) {
  try {
    if (sample) sessionStorage.setItem(STORED, JSON.stringify(points));
  } catch {
    // The browser forbids it, or has no space: the charts begin anew.
  }
}

function restored() {
  try {
    const points = JSON.parse(sessionStorage.getItem(STORED) ?? "[]");
    return Array.isArray(points) && points.every((point) => point.at > 0) ? points : [];
  } catch {
    return [];
  }
}
