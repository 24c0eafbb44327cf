"use strict";

const { Fastly, client, connect, given, step } = require("./steps");

async function main() {
  for (const [name, password] of [["first wrong", "not this one"], ["first", given.password]]) {
    // By login and password as Basic authentication, and no token.
    const nobody = connect();
    Object.assign(nobody.authentications.username_and_password, { username: given.login, password });
    await step(name, () => new Fastly.TokensApi(nobody).createTokenWithHttpInfo());
  }
  const tokens = new Fastly.TokensApi(client);
  await step("create without sudo", () => tokens.createTokenWithHttpInfo());
  const login = { username: given.login, password: given.password };
  await step("sudo", () => new Fastly.SudoApi(client).requestSudoAccessWithHttpInfo({ sudo_request: login }));
  const made = [];
  for (let n = 0; n < 4; n++) made.push(await step("create", () => tokens.createTokenWithHttpInfo()));
  const [lost, one, two] = made.map((token) => token.id);
  await step("list", () => tokens.listTokensUserWithHttpInfo());
  await step("list customer", () => tokens.listTokensCustomerWithHttpInfo({ customer_id: given.customer }));
  await step("self", () => tokens.getTokenCurrentWithHttpInfo());
  await step("get", () => tokens.getTokenWithHttpInfo({ token_id: lost }));
  await step("get two scopes", () => tokens.getTokenWithHttpInfo({ token_id: given.two_scopes }));
  await step("get missing", () => tokens.getTokenWithHttpInfo({ token_id: "nothing" }));
  await step("revoke", () => tokens.revokeTokenWithHttpInfo({ token_id: lost }));
  const revoked = new Fastly.TokensApi(connect(made[0].access_token));
  await step("use revoked", () => revoked.getTokenCurrentWithHttpInfo());
  const several = { data: [{ type: "token", id: one }, { type: "token", id: two }] };
  await step("revoke several", () => tokens.bulkRevokeTokensWithHttpInfo({ request_body: several }));
  const last = new Fastly.TokensApi(connect(made[3].access_token));
  await step("revoke self", () => last.revokeTokenCurrentWithHttpInfo());
}

main();
