"use strict";

// This version of the client has the older routes, without /iam/v1.
const { Fastly, client, step } = require("./steps");

async function main() {
  const roles = new Fastly.IamRolesApi(client);
  const listed = await step("list", () => roles.listRolesWithHttpInfo({ per_page: 100, page: 1 }));
  const role_id = listed.data?.[0]?.id ?? "nothing";
  await step("get", () => roles.getARoleWithHttpInfo({ role_id }));
}

main();
