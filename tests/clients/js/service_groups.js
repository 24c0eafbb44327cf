"use strict";

const { Fastly, client, step } = require("./steps");

async function main() {
  const groups = new Fastly.IamServiceGroupsApi(client);
  await step("list", () => groups.listServiceGroupsWithHttpInfo({ per_page: 20, page: 1 }));
  await step("get missing", () => groups.getAServiceGroupWithHttpInfo({ service_group_id: "nothing" }));
}

main();
