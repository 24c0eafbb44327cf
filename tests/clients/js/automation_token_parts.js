"use strict";

const { Fastly, client, given, step } = require("./steps");

async function main() {
  const automation = new Fastly.AutomationTokensApi(client);
  const id = given.automation_token;
  await step("services", () => automation.getAutomationTokensIdServicesWithHttpInfo({ id }));
  await step("revoke", () => automation.revokeAutomationTokenIdWithHttpInfo({ id }));
}

main();
