// Calls of the hub's REST API. Every failure is an ApiError with words for a person.

export class ApiError extends Error {
  constructor(problem, { unreachable = false } = {}) {
    super(problem.detail || problem.title || "The hub refused the request.");
    this.name = "ApiError";
    this.problem = problem;
    this.status = problem.status || 0;
    this.type = String(problem.type || "").split("/").pop();
    this.errors = problem.errors || [];
    this.unreachable = unreachable;
  }
}

const csrfToken = document.querySelector('meta[name="csrf-token"]')?.content || "";

/** Path of a cluster's API, or of something below it. */
export function clusterPath(hostname, rest = "") {
  return `/api/clusters/${encodeURIComponent(hostname)}${rest}`;
}

/** Sends a request and gives back the raw response; throws ApiError when the hub can't be reached or refuses. */
export async function send(method, path, { body, headers = {}, signal } = {}) {
  const options = { method, signal, cache: "no-store", credentials: "same-origin", headers: { Accept: "application/json", ...headers } };
  if (method !== "GET") options.headers["X-CSRF-Token"] = csrfToken;
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError({ title: "No connection", detail: "The hub can't be reached. Nothing was lost; try again in a moment." }, { unreachable: true });
  }
  if (response.ok || response.status === 304) return response;
  throw new ApiError(await readProblem(response));
}

async function readProblem(response) {
  const fallback = { title: response.statusText, status: response.status, detail: `The hub answered ${response.status} ${response.statusText}.` };
  if (!(response.headers.get("Content-Type") || "").includes("json")) return fallback;
  try {
    return { ...fallback, ...(await response.json()) };
  } catch {
    return fallback;
  }
}

/** Sends a request and gives back its JSON, or null where the answer has no body. */
export async function call(method, path, options) {
  const response = await send(method, path, options);
  return response.status === 204 ? null : response.json();
}

export const get = (path, options) => call("GET", path, options);

/** Reads a resource again and again: `read()` gives its JSON, or null while nothing in it changed (ETag, 304). */
export class Versioned {
  constructor(path) {
    this.path = path;
    this.etag = null;
  }

  async read() {
    const response = await send("GET", this.path, { headers: this.etag ? { "If-None-Match": this.etag } : {} });
    if (response.status === 304) return null;
    this.etag = response.headers.get("ETag");
    return response.json();
  }
}
