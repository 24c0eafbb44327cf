"use strict";

const { Fastly, client, plain, step } = require("./steps");

async function main() {
  const invitations = new Fastly.InvitationsApi(client);
  // The client's model has no place for the customer: it is the caller's.
  const attributes = { email: "grace@example.com", role: "engineer", limit_services: false };
  const invitation = { data: { type: "invitation", attributes } };
  const made = await step("create", () => invitations.createInvitationWithHttpInfo({ invitation }));
  const invitation_id = made.data?.id ?? "nothing";
  await step("list", () => invitations.listInvitationsWithHttpInfo({ page_number: 1, page_size: 10 }));
  await step("list plain", () => plain("/invitations"));
  await step("delete", () => invitations.deleteInvitationWithHttpInfo({ invitation_id }));
  await step("delete again", () => invitations.deleteInvitationWithHttpInfo({ invitation_id }));
}

main();
