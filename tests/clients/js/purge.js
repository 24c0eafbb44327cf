"use strict";

const { Fastly, client, given, step } = require("./steps");

async function main() {
  const purge = new Fastly.PurgeApi(client);
  const service_id = given.service;
  if (given.all) {
    await step("all", () => purge.purgeAllWithHttpInfo({ service_id }));
    return;
  }
  await step("key", () => purge.purgeTagWithHttpInfo({ service_id, surrogate_key: "red" }));
  await step("keys", () => purge.bulkPurgeTagWithHttpInfo({ service_id, surrogate_key: "green blue" }));
  const page = "http://shop.example/search?q=a&page=1";
  await step("url", () => purge.purgeSingleUrlWithHttpInfo({ cached_url: page }));
  await step("unknown url", () => purge.purgeSingleUrlWithHttpInfo({ cached_url: "http://other.example/" }));
}

main();
