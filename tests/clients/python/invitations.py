from fastly.api.invitations_api import InvitationsApi
from fastly.model.invitation import Invitation
from fastly.model.invitation_create_data import InvitationCreateData
from fastly.model.invitation_data_attributes import InvitationDataAttributes
from fastly.model.role_user import RoleUser
from fastly.model.type_invitation import TypeInvitation
from steps import client, plain, step, unchecked

invitations = InvitationsApi(client)
# The client's model has no place for the customer: it is the caller's.
order = Invitation(data=InvitationCreateData(
    type=TypeInvitation("invitation"),
    attributes=InvitationDataAttributes(email="grace@example.com", role=RoleUser("engineer"), limit_services=False)))
made = unchecked("create", invitations.create_invitation, invitation=order)
id = made.get("data", {}).get("id", "nothing")
step("list", invitations.list_invitations, page_number=1, page_size=10)
plain("list plain", invitations.list_invitations)
step("delete", invitations.delete_invitation, id)
step("delete again", invitations.delete_invitation, id)
