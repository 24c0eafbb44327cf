"use strict";

const { Fastly, client, connect, given, read, step, whole } = require("./steps");

async function main() {
  const automation = new Fastly.AutomationTokensApi(client);
  const order = { name: "deploy", role: "engineer", scope: "global:read", services: [given.service], expires_at: null };
  const request = { automation_token_create_request: order };
  // The client's model makes an empty object of the id.
  const made = await step("create", () => whole(automation.createAutomationTokenWithHttpInfo(request)));
  const id = made.id ?? "nothing";
  const bot = made.id && new Fastly.TokensApi(connect(made.access_token));
  if (bot) await step("use", () => bot.getTokenCurrentWithHttpInfo());
  await read("list", () => automation.listAutomationTokensWithHttpInfo(), "/automation-tokens");
  await step("get modelled", () => automation.getAutomationTokenIdWithHttpInfo({ id }));
  await step("get", () => whole(automation.getAutomationTokenIdWithHttpInfo({ id })));
  await step("get missing", () => automation.getAutomationTokenIdWithHttpInfo({ id: "nothing" }));
  if (!bot) return;
  await step("revoke", () => new Fastly.TokensApi(client).revokeTokenWithHttpInfo({ token_id: id }));
  await step("use revoked", () => bot.getTokenCurrentWithHttpInfo());
}

main();
