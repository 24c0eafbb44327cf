from fastly.api.customer_api import CustomerApi
from fastly.api.user_api import UserApi
from steps import client, step

step("user", UserApi(client).get_current_user)
step("customer", CustomerApi(client).get_logged_in_customer)
