"""Everything the portal has about one user, for that user."""
