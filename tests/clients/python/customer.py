from fastly.api.customer_api import CustomerApi
from steps import client, given, step

customers = CustomerApi(client)
step("get", customers.get_customer, given["customer"])
step("update", customers.update_customer, given["customer"], name="Acme & Sons")
step("get missing", customers.get_customer, "nothing")
