"""Pages of notices: one's own mails, webhooks, deliveries."""
