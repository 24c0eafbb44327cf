from fastly.api.customer_api import CustomerApi
from fastly.api.user_api import UserApi
from steps import client, given, step

users = UserApi(client)
made = step("create", users.create_user, login="grace@example.com", name="grace", role="engineer")
id = made.get("id", "nothing")
step("get", users.get_user, id)
step("update", users.update_user, id, name="Grace", role="user")
step("list", CustomerApi(client).list_users, given["customer"])
step("delete", users.delete_user, id)
step("get deleted", users.get_user, id)
