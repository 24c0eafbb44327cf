from fastly.api.automation_tokens_api import AutomationTokensApi
from fastly.api.tokens_api import TokensApi
from fastly.model.automation_token_create_request import AutomationTokenCreateRequest
from steps import client, connect, given, step, unchecked

automation = AutomationTokensApi(client)
order = AutomationTokenCreateRequest(
    name="deploy", role="engineer", scope="global:read", services=[given["service"]], expires_at=None)
made = unchecked("create", automation.create_automation_token, automation_token_create_request=order)
id = made.get("id", "nothing")
if made:
    bot = TokensApi(connect(made["access_token"]))
    step("use", bot.get_token_current)
step("list", automation.list_automation_tokens)
step("get", automation.get_automation_token_id, id)
step("get missing", automation.get_automation_token_id, "nothing")
if made:
    step("revoke", TokensApi(client).revoke_token, id)
    step("use revoked", bot.get_token_current)
# The token is made, and its secret is lost on the way: the check of types throws the answer away.
step("create checked", automation.create_automation_token, automation_token_create_request=order)
