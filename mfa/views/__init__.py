"""Pages about a person's own MFA, and the admins' page of holds."""
