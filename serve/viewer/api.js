// The server's answers, with the token where one is wanted. Every failure is an ApiError with a line for people.

const TOKEN_KEY = "featurelib-token";
const TIMEOUT_MS = 120_000;

/** What went wrong: `status` 0 where the server could not be reached. */
export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    Object.assign(this, { status, code });
  }
}

/** Ask for JSON. */
export const getJson = async (path, signal) => (await ask(path, { signal })).json();

/** Ask for a file's bytes as a Blob. */
export const getBlob = async (path, signal) => (await ask(path, { signal })).blob();

/** Send JSON by POST or PUT and return the JSON that comes back. */
export const sendJson = async (method, path, body, signal) =>
  (await ask(path, { method, signal, headers: { "content-type": "application/json" }, body: JSON.stringify(body) })).json();

/** Send a form and return the JSON that comes back. */
export const sendForm = async (path, form, signal) => (await ask(path, { method: "POST", body: form, signal })).json();

async function ask(path, options) {
  for (;;) {
    const token = sessionStorage.getItem(TOKEN_KEY);
    const answer = await reach(path, options, token);
    if (answer.ok) return answer;
    if (answer.status !== 401) throw await failure(answer);
    await anotherToken(token);
  }
}

async function reach(path, options, token) {
  const headers = { ...options.headers, ...(token && { authorization: `Bearer ${token}` }) };
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout;
  try {
    return await fetch(path, { ...options, headers, signal });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    const message = error.name === "TimeoutError" ? "The server did not answer in time." : "The server cannot be reached.";
    throw new ApiError(0, "unreachable", message);
  }
}

async function failure(answer) {
  const body = await answer.json().catch(() => null);
  const { code = "failed", message = `The server answered with ${answer.status}.` } = body?.error ?? {};
  return new ApiError(answer.status, code, message);
}

let asking = null;

/** Ask the user once for a token, however many questions failed for want of one. */
async function anotherToken(refused) {
  if (refused !== sessionStorage.getItem(TOKEN_KEY)) return; // another question has asked meanwhile
  asking ??= tokenFromUser(refused !== null).finally(() => (asking = null));
  sessionStorage.setItem(TOKEN_KEY, await asking);
}

function tokenFromUser(wasWrong) {
  const dialog = document.getElementById("token-dialog");
  const input = document.getElementById("token");
  if (wasWrong) document.getElementById("token-says").textContent = "That was not the token. Try again.";
  input.value = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(input.value.trim()), { once: true });
  });
}
