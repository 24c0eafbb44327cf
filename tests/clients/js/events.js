"use strict";

const { Fastly, client, given, step } = require("./steps");

async function main() {
  const events = new Fastly.EventsApi(client);
  const filter = { filter_event_type: "token.create", filter_user_id: given.user, page_size: 1 };
  const page = await step("list", () => events.listEventsWithHttpInfo(filter));
  await step("get", () => events.getEventWithHttpInfo({ event_id: page.data[0].id }));
  await step("get missing", () => events.getEventWithHttpInfo({ event_id: "nothing" }));
  await step("list all", () => events.listEventsWithHttpInfo({ sort: "created_at" }));
}

main();
