// The client of the API. Pages call `get`, `post` and so on, and get the body of the answer, or a
// `Problem` is thrown.
//
// The access token is kept in memory only. The refresh token is in a cookie that scripts cannot
// read, so a script that was injected could not carry the session away.
import { T } from "./texts.js";

// The path of the API: empty, or the prefix of a gateway.
export const base = location.pathname.replace(/\/console\/?$/, "");

const REFRESH_LOCK = "sms-console-refresh";
// A token is renewed this long before it expires, so that clocks may differ a little.
const EARLY_MS = 30_000;
const LONGEST_WAIT_S = 30;
// Longer than the gateway waits for the function.
const REFRESH_TIMEOUT_MS = 35_000;

let access = null; // {token, until}
let refreshing = null; // a refresh that this tab is waiting for
let whenEnded = () => {};
const otherTabs = new BroadcastChannel("sms-console");
otherTabs.onmessage = () => end("elsewhere");

/** Calls `handler(reason, problem)` when the session has ended: "expired", "elsewhere" or "logged-out". */
export function onSessionEnd(handler) {
  whenEnded = handler;
}

/** What the API answers if it refuses a call, as RFC 9457 defines it. */
export class Problem extends Error {
  constructor(status, body, headers) {
    super(body.detail || body.title || T.problems.unexplained(status));
    this.status = status;
    this.title = body.title ?? T.problems.title;
    this.slug = String(body.type ?? "").split("/").pop();
    this.errors = body.errors ?? [];
    this.errorsTotal = body.errors_total ?? this.errors.length;
    this.possible = body.possible ?? null;
    this.retryAfterS = Number(body.retry_after_s ?? headers?.get("retry-after")) || null;
  }
}

function address(path, query = {}) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") parameters.set(name, value);
  }
  const text = parameters.toString();
  return base + path + (text && (path.includes("?") ? "&" : "?") + text);
}

function requestOf(method, { body, type, key, token, signal }) {
  const headers = {};
  if (token) headers.authorization = `Bearer ${token}`;
  if (key) headers["idempotency-key"] = key;
  const isJson = body !== undefined && !type;
  if (body !== undefined) headers["content-type"] = type ?? "application/json";
  return { method, headers, signal, body: isJson ? JSON.stringify(body) : body };
}

async function problemOf(response) {
  const text = await response.text();
  try {
    return new Problem(response.status, JSON.parse(text), response.headers);
  } catch {
    // A gateway answers without a problem document.
    return new Problem(response.status, { detail: T.problems.unexplained(response.status) }, response.headers);
  }
}

/** Sends one request. Returns the response, if its status is 2xx. */
async function send(method, path, options) {
  let response;
  try {
    response = await fetch(address(path, options.query), requestOf(method, options));
  } catch {
    throw new Problem(0, { title: T.problems.offlineTitle, detail: T.problems.offline });
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

function keep(tokens) {
  access = { token: tokens.access_token, until: Date.now() + tokens.expires_in * 1000 };
}

function end(reason, problem) {
  access = null;
  whenEnded(reason, problem);
}

/** Returns whether a call was refused because no account can log in here (`LOCAL_LOGIN`). */
export const isLoginOff = (problem) => problem?.slug === "local-login-off";

/** Logs in. A temporary password needs `newPassword`. */
export async function logIn({ username, password, newPassword, code }) {
  const body = { username, password, cookie: true };
  if (newPassword) body.new_password = newPassword;
  if (code) body.code = code;
  const response = await send("POST", "/v1/auth/login", { body });
  keep(await response.json());
}

// A refresh token is valid once. The lock makes tabs that share the cookie refresh one after the
// other: otherwise a tab could send a token that another one has just exchanged.
async function refresh() {
  const exchange = async () => {
    // A request that hangs must not hold the lock: the other tabs wait for it.
    const signal = AbortSignal.timeout(REFRESH_TIMEOUT_MS);
    const response = await send("POST", "/v1/auth/refresh", { body: { cookie: true }, signal });
    keep(await response.json());
  };
  return navigator.locks ? navigator.locks.request(REFRESH_LOCK, exchange) : exchange();
}

function refreshOnce() {
  refreshing ??= refresh().finally(() => {
    refreshing = null;
  });
  return refreshing;
}

/** Continues the session that the cookie names; returns whether there is one. */
export async function restore() {
  try {
    await refreshOnce();
    return true;
  } catch (problem) {
    if (problem.status === 0 || problem.status >= 500 || isLoginOff(problem)) throw problem;
    return false;
  }
}

async function refreshOrEnd() {
  try {
    await refreshOnce();
  } catch (problem) {
    if ([400, 401, 403, 422].includes(problem.status)) end("expired", problem);
    throw problem;
  }
}

/** Logs out here, or in all places where this user has logged in. */
export async function logOut(everywhere) {
  try {
    await request("POST", "/v1/auth/logout", { query: { everywhere: everywhere || undefined } });
  } catch (problem) {
    if (problem.status !== 401) throw problem;
  }
  otherTabs.postMessage("ended");
  end("logged-out");
}

/** Executes a call with the token, which is renewed if it has expired. Returns the response. */
export async function request(method, path, options = {}) {
  if (!access || Date.now() > access.until - EARLY_MS) await refreshOrEnd();
  // The same key for both tries, so that the call is executed once.
  const key = method === "POST" ? newKey() : undefined;
  const attempt = () => send(method, path, { key, ...options, token: access?.token });
  try {
    return await attempt();
  } catch (problem) {
    if (problem.status !== 401) throw problem;
    await refreshOrEnd();
    return attempt();
  }
}

function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Executes a call, and repeats it while the API is not reached, busy or limits the rate. */
export async function requestPatiently(method, path, options = {}, tries = 6) {
  const key = method === "POST" ? newKey() : undefined;
  for (let tried = 1; ; tried += 1) {
    try {
      return await request(method, path, { key, ...options });
    } catch (problem) {
      const passing = [0, 429, 502, 503, 504].includes(problem.status) || problem.slug === "idempotency-in-progress";
      if (!passing || tried >= tries || options.signal?.aborted) throw problem;
      const waitS = Math.min(problem.retryAfterS ?? 2 ** (tried - 1), LONGEST_WAIT_S);
      await new Promise((resolve) => setTimeout(resolve, waitS * 1000));
    }
  }
}

async function bodyOf(response) {
  return response.status === 204 ? null : response.json();
}

export const get = async (path, query) => bodyOf(await request("GET", path, { query }));
export const post = async (path, body, query) => bodyOf(await request("POST", path, { body, query }));
export const put = async (path, body) => bodyOf(await request("PUT", path, { body }));
export const patch = async (path, body) => bodyOf(await request("PATCH", path, { body }));
export const remove = async (path, query) => bodyOf(await request("DELETE", path, { query }));

function nextOf(response) {
  const link = /<([^>]*)>; rel="next"/.exec(response.headers.get("link") ?? "");
  return link && link[1];
}

/**
 * Fetches all pages of a report as one file. Pages become parts of a blob, which the browser may
 * move to its disk. Calls `progress(rows)`.
 */
export async function report(path, query, progress) {
  const parts = [];
  let rows = 0;
  let response = await requestPatiently("GET", path, { query: { ...query, format: "csv" } });
  for (;;) {
    const text = await response.text();
    const headerEnd = text.indexOf("\r\n") + 2;
    const body = parts.length ? text.slice(headerEnd) : text;
    parts.push(new Blob([body]));
    rows += text.slice(headerEnd).split("\r\n").length - 1;
    progress?.(rows);
    const next = nextOf(response);
    if (!next) return { blob: new Blob(parts, { type: "text/csv" }), rows };
    response = await requestPatiently("GET", next.replace(/^https?:..[^/]*/, ""));
  }
}
