from fastly.api.sudo_api import SudoApi
from fastly.api.tokens_api import TokensApi
from fastly.model.sudo_request import SudoRequest
from steps import client, connect, given, step, unchecked

for name, password in [("first wrong", "not this one"), ("first", given["password"])]:
    # By login and password as Basic authentication, and an empty token: without any the client fails.
    unchecked(name, TokensApi(connect("", username=given["login"], password=password)).create_token)
tokens = TokensApi(client)
step("create without sudo", tokens.create_token)
login = SudoRequest(username=given["login"], password=given["password"])
step("sudo", SudoApi(client).request_sudo_access, sudo_request=login)
made = [unchecked("create", tokens.create_token) for _ in range(4)]
lost, one, two, last = [token["id"] for token in made]
step("list", tokens.list_tokens_user)
step("list customer", tokens.list_tokens_customer, given["customer"])
step("self", tokens.get_token_current)
step("get", tokens.get_token, lost)
step("get two scopes", tokens.get_token, given["two_scopes"])
step("get missing", tokens.get_token, "nothing")
step("revoke", tokens.revoke_token, lost)
step("use revoked", TokensApi(connect(made[0]["access_token"])).get_token_current)
step("revoke several", tokens.bulk_revoke_tokens, request_body={"data": [
    {"type": "token", "id": one}, {"type": "token", "id": two}]})
step("revoke self", TokensApi(connect(made[3]["access_token"])).revoke_token_current)
# The token is made, and its secret is lost on the way: the check of types throws the answer away.
step("create checked", tokens.create_token)
