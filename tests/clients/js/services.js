"use strict";

const { Fastly, client, given, step } = require("./steps");

async function main() {
  const services = new Fastly.ServiceApi(client);
  const page = { page: 1, per_page: 1, sort: "name", direction: "descend" };
  await step("list", () => services.listServicesWithHttpInfo(page));
  await step("search", () => services.searchServiceWithHttpInfo({ name: "blog" }));
  await step("detail", () => services.getServiceDetailWithHttpInfo({ service_id: given.service }));
  await step("domains", () => services.listServiceDomainsWithHttpInfo({ service_id: given.service }));
  const order = { name: "news", type: "vcl", comment: "all of it" };
  const { id } = await step("create", () => services.createServiceWithHttpInfo(order));
  await step("update", () => services.updateServiceWithHttpInfo({ service_id: id, name: "paper" }));
  await step("get", () => services.getServiceWithHttpInfo({ service_id: id }));
  await step("delete", () => services.deleteServiceWithHttpInfo({ service_id: id }));
  await step("get deleted", () => services.getServiceWithHttpInfo({ service_id: id }));
  await step("get missing", () => services.getServiceWithHttpInfo({ service_id: "nothing" }));
}

main();
