"use strict";

const { Fastly, client, given, step } = require("./steps");

async function main() {
  const users = new Fastly.UserApi(client);
  const order = { login: "grace@example.com", name: "grace", role: "engineer" };
  const { id: user_id = "nothing" } = await step("create", () => users.createUserWithHttpInfo(order));
  await step("get", () => users.getUserWithHttpInfo({ user_id }));
  await step("update", () => users.updateUserWithHttpInfo({ user_id, name: "Grace", role: "user" }));
  const customers = new Fastly.CustomerApi(client);
  await step("list", () => customers.listUsersWithHttpInfo({ customer_id: given.customer }));
  await step("delete", () => users.deleteUserWithHttpInfo({ user_id }));
  await step("get deleted", () => users.getUserWithHttpInfo({ user_id }));
}

main();
