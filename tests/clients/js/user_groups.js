"use strict";

const { Fastly, client, step } = require("./steps");

async function main() {
  const groups = new Fastly.IamUserGroupsApi(client);
  await step("list", () => groups.listUserGroupsWithHttpInfo({ per_page: 20, page: 1 }));
  await step("get missing", () => groups.getAUserGroupWithHttpInfo({ user_group_id: "nothing" }));
}

main();
