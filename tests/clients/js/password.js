"use strict";

const { Fastly, client, given, step } = require("./steps");

async function main() {
  // Basic authentication, and no token: the only call that the client makes so. Unset, it sends no credential at all.
  Object.assign(client.authentications.session_password_change, { username: given.login, password: given.password });
  const users = new Fastly.UserApi(client);
  const change = (old_password) =>
    users.updateUserPasswordWithHttpInfo({ old_password, new_password: given.new_password });
  await step("wrong", () => change("not this one"));
  await step("change", () => change(given.password));
  await step("reset", () => users.requestPasswordResetWithHttpInfo({ user_login: given.login }));
}

main();
