"use strict";

const { Fastly, client, step } = require("./steps");

async function main() {
  await step("list", () => new Fastly.IamPermissionsApi(client).listPermissionsWithHttpInfo());
}

main();
