from fastly.api.events_api import EventsApi
from steps import client, given, step

events = EventsApi(client)
page = step("list", events.list_events, filter_event_type="token.create", filter_user_id=given["user"], page_size=1)
step("get", events.get_event, page["data"][0]["id"])
step("get missing", events.get_event, "nothing")
# Among all there is a `user.sudo`, which is no event that the client knows.
step("list all", events.list_events, sort="created_at")
