from fastly.api.service_api import ServiceApi
from steps import client, given, step

services = ServiceApi(client)
step("list", services.list_services, page=1, per_page=1, sort="name", direction="descend")
step("search", services.search_service, "blog")
step("detail", services.get_service_detail, given["service"])
step("domains", services.list_service_domains, given["service"])
made = step("create", services.create_service, name="news", type="vcl", comment="all of it")
step("update", services.update_service, made["id"], name="paper")
step("get", services.get_service, made["id"])
step("delete", services.delete_service, made["id"])
step("get deleted", services.get_service, made["id"])
step("get missing", services.get_service, "nothing")
