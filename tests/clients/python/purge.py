from fastly.api.purge_api import PurgeApi
from steps import client, given, step

purge = PurgeApi(client)
if given["all"]:
    step("all", purge.purge_all, given["service"])
else:
    step("key", purge.purge_tag, given["service"], "red")
    step("keys", purge.bulk_purge_tag, given["service"], surrogate_key="green blue")
    step("url", purge.purge_single_url, "http://shop.example/search?q=a&page=1")
    step("unknown url", purge.purge_single_url, "http://other.example/")
