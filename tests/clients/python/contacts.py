from fastly.api.contact_api import ContactApi
from steps import client, given, plain, step, unchecked

contacts = ContactApi(client)
made = unchecked("create", contacts.create_contacts, given["customer"], contact_type="technical",
                 name="Operations", email="ops@example.com", phone="0")
id = made.get("data", made).get("id", "nothing")
step("list", contacts.list_contacts, given["customer"])
# The answer has no body, and the client wants one.
step("delete", contacts.delete_contact, given["customer"], id)
plain("delete again", contacts.delete_contact, given["customer"], id)
