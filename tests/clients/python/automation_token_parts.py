from fastly.api.automation_tokens_api import AutomationTokensApi
from steps import client, given, step, switched

automation = AutomationTokensApi(client)
step("services", automation.get_automation_tokens_id_services, given["automation_token"])
switched("revoke", automation.revoke_automation_token_id, given["automation_token"])
