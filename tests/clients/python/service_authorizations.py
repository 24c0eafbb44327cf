from fastly.api.service_authorizations_api import ServiceAuthorizationsApi
from steps import client, given, step, switched


def order(permission, relationships):
    """The client's model of the service will not be given an id, so the whole body is a dictionary."""
    attributes = {"permission": permission}
    data = {"type": "service_authorization", "attributes": attributes, "relationships": relationships}
    return {"service_authorization": {"data": data}, "_check_input_type": False}


authorizations = ServiceAuthorizationsApi(client)
relationships = {
    "service": {"data": {"type": "service", "id": given["service"]}},
    "user": {"data": {"type": "user", "id": given["engineer"]}},
}
made = switched("create", authorizations.create_service_authorization, **order("purge_select", relationships))
id = made.get("data", {}).get("id", "nothing")
step("get", authorizations.show_service_authorization, id)
step("list", authorizations.list_service_authorization, page_number=1, page_size=10)
switched("update", authorizations.update_service_authorization, id, **order("full", {}))
step("delete", authorizations.delete_service_authorization, id)
step("get deleted", authorizations.show_service_authorization, id)
