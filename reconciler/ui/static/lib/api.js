// @ts-check
// Requests to the API. The session's cookie says who we are; the server knows by `Origin` that this page asks.

/** What the API said no to. `problems`: everything that is wrong in what was sent; `yaml`, `file`: what to commit. */
export class ApiError extends Error {
  /**
   * @param {number} status 0: the server was not reached
   * @param {Partial<import("../types").Refusal>} refusal
   */
  constructor(status, refusal) {
    super(refusal.detail ?? "the request failed");
    this.name = "ApiError";
    this.status = status;
    this.code = refusal.code ?? "";
    this.title = TITLES[status] ?? (status >= 500 ? "The server has a problem" : "That was not possible");
    this.detail = refusal.detail ?? "";
    this.remedy = refusal.remedy ?? "";
    this.problems = refusal.problems ?? [];
    this.yaml = refusal.yaml ?? "";
    this.file = refusal.file ?? "";
    this.line = refusal.line ?? 0;
  }
}

/** @type {Record<number, string>} */
const TITLES = {
  0: "The server cannot be reached",
  401: "You are not signed in",
  403: "You may not do that",
  404: "There is no such thing",
  409: "That does not go together with how things are",
  412: "Somebody else changed it meanwhile",
  422: "Something in it is not allowed",
  429: "Too many requests",
};

/** @typedef {{query?: Record<string, any> | URLSearchParams, body?: any, signal?: AbortSignal, key?: string, match?: string}} Options */

/** Told to whoever listens when the server says that there is no session (any more). */
export const signedOut = new EventTarget();

/**
 * Ask the API. In `query`, arrays repeat a name; null, undefined and "" leave it out. Throws ApiError; an aborted
 * request throws the signal's AbortError.
 * @param {string} method
 * @param {string} path
 * @param {Options} [options]
 * @returns {Promise<any>}
 */
export async function request(method, path, options = {}) {
  const answer = await reach(method, path, options);
  const text = await answer.text();
  if (answer.ok) return text === "" ? null : JSON.parse(text);
  if (answer.status === 401 && !options.key) signedOut.dispatchEvent(new Event("signedout"));
  throw new ApiError(answer.status, parsed(text, answer.status));
}

/** @type {(path: string, query?: Options["query"], signal?: AbortSignal) => Promise<any>} */
export const get = (path, query, signal) => request("GET", path, { query, signal });
/** @type {(path: string, body?: any, signal?: AbortSignal) => Promise<any>} */
export const post = (path, body, signal) => request("POST", path, { body, signal });
/** @type {(path: string, body?: any, query?: Options["query"], match?: string) => Promise<any>} */
export const put = (path, body, query, match) => request("PUT", path, { body, query, match });
/** @type {(path: string, query?: Options["query"]) => Promise<any>} */
export const del = (path, query) => request("DELETE", path, { query });

/**
 * Tell whether an error only says that nobody waits for the answer any more.
 * @param {unknown} error
 */
export function isAbort(error) {
  return error instanceof DOMException && error.name === "AbortError";
}

/**
 * @param {string} method
 * @param {string} path
 * @param {Options} options
 */
async function reach(method, path, { query, body, signal, key, match }) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (key) headers["Authorization"] = `Bearer ${key}`;
  if (match) headers["If-Match"] = match;
  const sent = body === undefined ? undefined : JSON.stringify(body);
  try {
    return await fetch(path + suffix(query), { method, headers, body: sent, signal, credentials: "same-origin" });
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new ApiError(0, {
      code: "unreachable",
      detail: "no answer came from the server",
      remedy: "is `reconcile serve` running, and the network up? Then try again",
    });
  }
}

/** @param {Options["query"]} query */
function suffix(query) {
  if (!query) return "";
  const words = query instanceof URLSearchParams ? query : new URLSearchParams();
  for (const [name, value] of query instanceof URLSearchParams ? [] : Object.entries(query)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== null && each !== undefined && each !== "") words.append(name, String(each));
    }
  }
  const text = words.toString();
  return text && `?${text}`;
}

/**
 * @param {string} text
 * @param {number} status
 * @returns {Partial<import("../types").Refusal>}
 */
function parsed(text, status) {
  try {
    return JSON.parse(text);
  } catch {
    return { code: "unreadable", detail: `the answer (status ${status}) is not from this API` };
  }
}
