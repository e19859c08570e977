"""Request types, client details, and permissions of views."""
