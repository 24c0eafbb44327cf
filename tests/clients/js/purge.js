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
  // The answer has no Content-Type: without one it is text to this client, of which its model makes letters.
  const keys = await purge.bulkPurgeTagWithHttpInfo({ service_id, surrogate_key: "green blue" });
  await step("letters", () => keys);
  await step("keys", () => ({ ...keys, data: JSON.parse(keys.response.text) }));
  const page = "http://shop.example/search?q=a&page=1";
  await step("url", () => purge.purgeSingleUrlWithHttpInfo({ cached_url: page }));
  await step("unknown url", () => purge.purgeSingleUrlWithHttpInfo({ cached_url: "http://other.example/" }));
}

main();
