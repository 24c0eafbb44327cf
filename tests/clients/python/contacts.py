from fastly.api.contact_api import ContactApi
from steps import client, given, step, switched

contacts = ContactApi(client)
made = switched("create", contacts.create_contacts, given["customer"], contact_type="technical",
                 name="Operations", email="ops@example.com", phone="0")
id = made.get("data", made).get("id", "nothing")
step("list", contacts.list_contacts, given["customer"])
switched("delete", contacts.delete_contact, given["customer"], id)
switched("delete again", contacts.delete_contact, given["customer"], id)
