"""From the click on "Request access" to "Active" on the page, for a person with an open window."""
