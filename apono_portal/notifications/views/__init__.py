"""Pages of notification preferences, webhooks and deliveries."""
