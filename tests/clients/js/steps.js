// What the scripts share: what they are given (JSON on standard input), and a JSON line about each step.
"use strict";

const Fastly = require("fastly");

const given = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const HARD_CODED = "https://api.fastly.com";

/** The client, pointed at Keygate: each operation has its address in the code, so the request is turned round. */
function connect(token) {
  const client = new Fastly.ApiClient();
  if (token) client.authenticate(token);
  client.plugins = [(request) => { request.url = request.url.replace(HARD_CODED, given.url); }];
  return client;
}

const client = connect(given.token);

/** Makes a call. What came of it is printed, and its value returned. */
async function step(name, call) {
  try {
    const { data, response } = await call();
    say(name, "ok", response.status, data ?? null);
    return data ?? {};
  } catch (failure) {
    if (failure.status) say(name, "refused", failure.status, failure.body);
    else if (failure instanceof TypeError) say(name, "unread", null, "TypeError");
    else throw failure.error ?? failure;
    return {};
  }
}

/** A read whose answer the client may not be able to take in: then once more past its models, which is the switch. */
async function read(name, call, path) {
  let unread = false;
  const value = await step(name, async () => {
    try {
      return await call();
    } catch (failure) {
      unread = failure instanceof TypeError;
      throw failure;
    }
  });
  return unread ? step(name, () => plain(path)) : value;
}

/** A read past the client's models. */
function plain(path) {
  return client.callApi(path, "GET", {}, {}, {}, {}, {}, null, ["token"], [], ["application/json"], Object, given.url);
}

/** The answer to a call as it came, beside what the client's model made of it. */
async function whole(call) {
  const { response } = await call;
  return { data: response.body, response };
}

function say(name, outcome, status, value) {
  console.log(JSON.stringify({ step: name, outcome, status, value }));
}

module.exports = { Fastly, client, connect, given, plain, read, step, whole };
