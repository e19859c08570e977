"""Making, showing and revoking tokens, and confirming what one may do."""
