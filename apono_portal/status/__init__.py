"""The Status page, and the problems that every page of admins and auditors names."""
