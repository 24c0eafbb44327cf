from fastly.api.service_authorizations_api import ServiceAuthorizationsApi
from fastly.model.permission import Permission
from fastly.model.relationship_member_service import RelationshipMemberService
from fastly.model.service_authorization import ServiceAuthorization
from fastly.model.service_authorization_data import ServiceAuthorizationData
from fastly.model.service_authorization_data_attributes import ServiceAuthorizationDataAttributes
from fastly.model.service_authorization_data_relationships import ServiceAuthorizationDataRelationships
from fastly.model.service_authorization_data_relationships_user import ServiceAuthorizationDataRelationshipsUser
from fastly.model.service_authorization_data_relationships_user_data import (
    ServiceAuthorizationDataRelationshipsUserData)
from fastly.model.type_service import TypeService
from fastly.model.type_service_authorization import TypeServiceAuthorization
from fastly.model.type_user import TypeUser
from steps import client, given, plain, step, unchecked


def order(permission, **relationships):
    return ServiceAuthorization(data=ServiceAuthorizationData(
        type=TypeServiceAuthorization("service_authorization"),
        attributes=ServiceAuthorizationDataAttributes(permission=Permission(permission)), **relationships))


authorizations = ServiceAuthorizationsApi(client)
# The client's model of the service has its type and id directly, not in a `data` as the user has. Its constructors
# refuse ids, which only the answers are meant to have.
user = ServiceAuthorizationDataRelationshipsUserData._from_openapi_data(type=TypeUser("user"), id=given["engineer"])
relationships = ServiceAuthorizationDataRelationships(
    service=RelationshipMemberService._from_openapi_data(type=TypeService("service"), id=given["service"]),
    user=ServiceAuthorizationDataRelationshipsUser(data=user))
made = unchecked("create", authorizations.create_service_authorization,
                service_authorization=order("purge_select", relationships=relationships))
id = made.get("data", {}).get("id", "nothing")
step("get", authorizations.show_service_authorization, id)
plain("made", authorizations.show_service_authorization, id)
step("list", authorizations.list_service_authorization, page_number=1, page_size=10)
unchecked("update", authorizations.update_service_authorization, id, service_authorization=order("full"))
plain("updated", authorizations.show_service_authorization, id)
step("delete", authorizations.delete_service_authorization, id)
step("get deleted", authorizations.show_service_authorization, id)
