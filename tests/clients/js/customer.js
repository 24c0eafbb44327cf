"use strict";

const { Fastly, client, given, step } = require("./steps");

async function main() {
  const customers = new Fastly.CustomerApi(client);
  const customer_id = given.customer;
  await step("get", () => customers.getCustomerWithHttpInfo({ customer_id }));
  await step("update", () => customers.updateCustomerWithHttpInfo({ customer_id, name: "Acme & Sons" }));
  await step("get missing", () => customers.getCustomerWithHttpInfo({ customer_id: "nothing" }));
}

main();
