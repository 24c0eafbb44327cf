"use strict";

const { Fastly, client, step } = require("./steps");

async function main() {
  await step("user", () => new Fastly.UserApi(client).getCurrentUserWithHttpInfo());
  await step("customer", () => new Fastly.CustomerApi(client).getLoggedInCustomerWithHttpInfo());
}

main();
