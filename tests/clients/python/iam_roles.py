from fastly.api.iam_roles_api import IamRolesApi
from steps import client, step

roles = IamRolesApi(client)
listed = step("list", roles.iam_v1_roles_list, limit=100)
step("get", roles.iam_v1_roles_get, listed.get("data", [{"id": "nothing"}])[0]["id"], include="permissions")
