"use strict";

const { Fastly, client, given, plain, step } = require("./steps");

function order(permission, relationships) {
  return { data: { type: "service_authorization", attributes: { permission }, relationships } };
}

async function main() {
  const authorizations = new Fastly.ServiceAuthorizationsApi(client);
  const service = { data: { type: "service", id: given.service } };
  const user = { data: { type: "user", id: given.engineer } };
  const ask = { service_authorization: order("purge_select", { service, user }) };
  const made = await step("create", () => authorizations.createServiceAuthorizationWithHttpInfo(ask));
  const service_authorization_id = made.data?.id ?? "nothing";
  const one = { service_authorization_id };
  await step("get", () => authorizations.showServiceAuthorizationWithHttpInfo(one));
  const path = `/service-authorizations/${service_authorization_id}`;
  await step("made", () => plain(path));
  await step("list", () => authorizations.listServiceAuthorizationWithHttpInfo({ page_number: 1, page_size: 10 }));
  const change = { ...one, service_authorization: order("full") };
  await step("update", () => authorizations.updateServiceAuthorizationWithHttpInfo(change));
  await step("updated", () => plain(path));
  await step("delete", () => authorizations.deleteServiceAuthorizationWithHttpInfo(one));
  await step("get deleted", () => authorizations.showServiceAuthorizationWithHttpInfo(one));
}

main();
