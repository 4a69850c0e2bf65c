// Requests to the JSON API. The paths are relative: the console may stand behind a proxy's prefix.

// status: of the response; 0: there was none. code: a word of the API.
export class ApiError extends Error {
  constructor(message, status, code, result = null) {
    super(message);
    this.status = status;
    this.code = code;
    this.result = result;
  }
}

let loginNeeded = () => {};

// f: called when the server wants a login.
export function onLoginNeeded(f) {
  loginNeeded = f;
}

async function send(path, options) {
  let response;
  try {
    response = await fetch(`api/${path}`, { credentials: "same-origin", ...options });
  } catch {
    throw new ApiError("The server does not answer.", 0, "unreachable");
  }
  if (response.ok) return response;
  const answer = await response.json().catch(() => ({}));
  const error = answer.error ?? {};
  if (response.status === 401 && path !== "login") loginNeeded();
  const message = error.message || `The server answered with status ${response.status}.`;
  throw new ApiError(message, response.status, error.code ?? "", answer.result ?? null);
}

// query: what is null, undefined or "" is left out.
export async function get(path, query = {}) {
  return (await send(path + queryText(query), {})).json();
}

export async function bytes(path) {
  return new Uint8Array(await (await send(path, {})).arrayBuffer());
}

export async function post(path, body = {}) {
  const headers = { "Content-Type": "application/json" };
  const response = await send(path, { method: "POST", headers, body: JSON.stringify(body) });
  return response.status === 204 ? {} : response.json();
}

export function queryText(query) {
  const given = Object.entries(query).filter(([, value]) => (value ?? "") !== "");
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

export function tubePath(tube, rest = "") {
  return `tubes/${encodeURIComponent(tube)}${rest}`;
}
