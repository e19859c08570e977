"""The methods a user has: authenticator apps and passkeys."""
