from fastly.api.iam_user_groups_api import IamUserGroupsApi
from steps import client, step

groups = IamUserGroupsApi(client)
step("list", groups.list_user_groups, per_page=20, page=1)
step("get missing", groups.get_a_user_group, "nothing")
