"use strict";

const { Fastly, client, given, read, step, whole } = require("./steps");

async function main() {
  const contacts = new Fastly.ContactApi(client);
  const customer_id = given.customer;
  const order = { customer_id, contact_type: "technical", name: "Operations", email: "ops@example.com", phone: "0" };
  // Nothing of the answer fits the client's model.
  const made = await step("create", () => whole(contacts.createContactsWithHttpInfo(order)));
  const contact_id = made.data?.id ?? "nothing";
  await read("list", () => contacts.listContactsWithHttpInfo({ customer_id }), `/customer/${customer_id}/contacts`);
  await step("delete", () => contacts.deleteContactWithHttpInfo({ customer_id, contact_id }));
  await step("delete again", () => contacts.deleteContactWithHttpInfo({ customer_id, contact_id }));
}

main();
