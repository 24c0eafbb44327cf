from fastly.api.iam_service_groups_api import IamServiceGroupsApi
from steps import client, step

groups = IamServiceGroupsApi(client)
step("list", groups.list_service_groups, per_page=20, page=1)
step("get missing", groups.get_a_service_group, "nothing")
