from fastly.api.automation_tokens_api import AutomationTokensApi
from steps import client, given, step, unchecked

automation = AutomationTokensApi(client)
step("services", automation.get_automation_tokens_id_services, given["automation_token"])
unchecked("revoke", automation.revoke_automation_token_id, given["automation_token"])
