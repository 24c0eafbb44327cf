from fastly.api.iam_permissions_api import IamPermissionsApi
from steps import client, step

step("list", IamPermissionsApi(client).list_permissions)
