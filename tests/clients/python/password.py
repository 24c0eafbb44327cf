from fastly.api.user_api import UserApi
from steps import client, connect, given, step

# Basic authentication, and no token: the only call that the client makes so.
users = UserApi(connect(given["token"], username=given["login"], password=given["password"]))
step("wrong", users.update_user_password, old_password="not this one", new_password=given["new_password"])
step("change", users.update_user_password, old_password=given["password"], new_password=given["new_password"])
step("reset", UserApi(client).request_password_reset, given["login"])
