// The frame of all pages: who is logged in, the route, the stream of samples, the keys.

import { get, onLoginNeeded, post } from "./api.js";
import { replace, setClass, setText } from "./dom.js";
import { duration } from "./format.js";
import { listenToKeys } from "./keys.js";
import { Live } from "./live.js";
import { connections } from "./pages/connections.js";
import { job } from "./pages/job.js";
import { log } from "./pages/log.js";
import { login } from "./pages/login.js";
import { missing } from "./pages/missing.js";
import { overview } from "./pages/overview.js";
import { tube } from "./pages/tube.js";
import { tubes } from "./pages/tubes.js";

const ROUTES = [
  [/^\/?$/, overview],
  [/^\/tubes$/, tubes],
  [/^\/tubes\/([^/]+)(?:\/(ready|reserved|delayed|buried))?$/, tube],
  [/^\/jobs\/(\d+)$/, job],
  [/^\/connections$/, connections],
  [/^\/log$/, log],
];

const RETRY_MS = 2000;

const byId = (id) => document.getElementById(id);

// What every page gets. can(name): what the API can do with this server. full: whether this user
// may change something.
const context = {
  live: new Live({ onState: showState, onRefused: checkLogin }),
  me: {},
  server: {},
  can: (name) => context.server.available?.includes(name) ?? false,
  // Whether the server tells the oldest ready job.
  get oldest() {
    return "oldest-ready-age" in (context.server.stats ?? {});
  },
  get full() {
    return !context.me.read_only;
  },
  go: (route) => {
    location.hash = route;
  },
};

let page = null;

function show() {
  const [path, query] = location.hash.replace(/^#/, "").split("?", 2);
  const route = ROUTES.find(([pattern]) => pattern.test(path));
  if (!route) return open(missing(`There is no page ${path}.`));
  let parameters;
  try {
    parameters = route[0]
      .exec(path)
      .slice(1)
      .map((part) => part && decodeURIComponent(part));
  } catch {
    return open(missing(`There is no page ${path}.`));
  }
  mark(path);
  return open(route[1](context, parameters, new URLSearchParams(query ?? "")));
}

// A page is { title, element, update(sample), close() }; the last two may be missing.
function open(next) {
  page?.stop?.();
  page?.close?.();
  page = next;
  document.title = `${next.title} \u00b7 beanstalkd`;
  replace(byId("main"), next.element);
  scrollTo(0, 0);
  (next.element.querySelector("[autofocus]") ?? byId("main")).focus({ preventScroll: true });
  if (next.update) page.stop = context.live.listen((sample) => next.update(sample));
}

function mark(path) {
  for (const link of document.querySelectorAll("nav a")) {
    const target = link.getAttribute("href").slice(1);
    const here = target === "/" ? path === "/" || path === "" : path.startsWith(target);
    const under = target === "/tubes" && path.startsWith("/jobs");
    if (here || under) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

// The head

function showState(state, why = "The server does not answer, or 20 other pages show it.") {
  const pulse = byId("pulse");
  setClass(pulse, "live", state === "live");
  setClass(pulse, "lost", state === "lost");
  pulse.title = state === "live" ? "Figures change as they do in the server" : "Not connected";
  byId("lost").hidden = state !== "lost";
  setText(byId("why"), why);
}

function showServer(sample) {
  const { stats } = sample;
  const server = context.server;
  byId("up").textContent = `${server.server} ${stats.version} \u00b7 up ${duration(stats.uptime)}`;
  setText(byId("host"), stats.hostname);
  byId("draining").hidden = !(stats.draining === true || stats.draining === "true");
}

function showUser() {
  const { me } = context;
  byId("reading").hidden = context.full;
  const name = byId("user");
  name.hidden = !me.name;
  setText(name, me.name ?? "");
  byId("logout").hidden = !me.name;
  document.body.classList.toggle("reading", !context.full);
}

async function checkLogin() {
  try {
    context.me = await get("me");
  } catch {
    // A login is asked for by onLoginNeeded; if there is no answer, the stream tries again.
  }
}

async function begin() {
  try {
    context.me = await get("me");
    context.server = await get("server");
  } catch (error) {
    if (error.status !== 401) beginLater(error);
    return;
  }
  byId("head").hidden = false;
  byId("nav-connections").hidden = !context.can("connections");
  byId("nav-log").hidden = !context.can("segments");
  showUser();
  context.live.start();
  show();
}

// Such as while the server reads its log.
function beginLater(error) {
  const waiting = missing(`${error.message} Trying again\u2026`, begin);
  open(waiting);
  setTimeout(() => page === waiting && begin(), RETRY_MS);
}

function askLogin() {
  context.live.stop();
  byId("head").hidden = true;
  byId("lost").hidden = true;
  if (page?.isLogin) return;
  open(login(begin));
}

async function logout() {
  await post("logout").catch(() => {});
  location.reload();
}

onLoginNeeded(askLogin);
addEventListener("hashchange", show);
byId("logout").onclick = logout;
byId("skip").onclick = () => byId("main").focus();
context.live.listen(showServer);
listenToKeys(context);
begin();
