"use strict";

const { Fastly, client, given, read, step } = require("./steps");

async function main() {
  const contacts = new Fastly.ContactApi(client);
  const customer_id = given.customer;
  const order = { customer_id, contact_type: "technical", name: "Operations", email: "ops@example.com", phone: "0" };
  const made = await step("create", () => contacts.createContactsWithHttpInfo(order));
  const contact_id = (made.data ?? made).id ?? "nothing";
  await read("list", () => contacts.listContactsWithHttpInfo({ customer_id }), `/customer/${customer_id}/contacts`);
  await step("delete", () => contacts.deleteContactWithHttpInfo({ customer_id, contact_id }));
  await step("delete again", () => contacts.deleteContactWithHttpInfo({ customer_id, contact_id }));
}

main();
