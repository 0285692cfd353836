// Requests to the server, with the token if it requires one. Each failure is an ApiError with a line for people.

const TOKEN_KEY = "featurelib-token";
const TIMEOUT_MS = 120_000;

/** A failed request; `status` is 0 if the server was not reached. */
export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    Object.assign(this, { status, code });
  }
}

/** Get JSON. */
export const getJson = async (path, signal) => (await send(path, { signal })).json();

/** Get a file as a Blob. */
export const getBlob = async (path, signal) => (await send(path, { signal })).blob();

/** Send JSON by POST or PUT and return the JSON of the response. */
export const sendJson = async (method, path, body, signal) =>
  (await send(path, { method, signal, headers: { "content-type": "application/json" }, body: JSON.stringify(body) })).json();

/** Send a form and return the JSON of the response. */
export const sendForm = async (path, form, signal) => (await send(path, { method: "POST", body: form, signal })).json();

async function send(path, options) {
  for (;;) {
    const token = sessionStorage.getItem(TOKEN_KEY);
    const response = await fetchOnce(path, options, token);
    if (response.ok) return response;
    if (response.status !== 401) throw await failure(response);
    await requestToken(token);
  }
}

async function fetchOnce(path, options, token) {
  const headers = { ...options.headers, ...(token && { authorization: `Bearer ${token}` }) };
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout;
  try {
    return await fetch(path, { ...options, headers, signal });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    const message = error.name === "TimeoutError" ? "The server did not respond in time." : "The server cannot be reached.";
    throw new ApiError(0, "unreachable", message);
  }
}

async function failure(response) {
  const body = await response.json().catch(() => null);
  const { code = "failed", message = `The server responded with status ${response.status}.` } = body?.error ?? {};
  return new ApiError(response.status, code, message);
}

let prompt = null;

/** Ask the user once for a token, for all requests that failed without one. */
async function requestToken(rejected) {
  if (rejected !== sessionStorage.getItem(TOKEN_KEY)) return; // the user has entered another one meanwhile
  prompt ??= tokenFromUser(rejected !== null).finally(() => (prompt = null));
  sessionStorage.setItem(TOKEN_KEY, await prompt);
}

function tokenFromUser(wasWrong) {
  const dialog = document.getElementById("token-dialog");
  const input = document.getElementById("token");
  if (wasWrong) document.getElementById("token-hint").textContent = "The token is wrong. Try again.";
  input.value = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(input.value.trim()), { once: true });
  });
}
