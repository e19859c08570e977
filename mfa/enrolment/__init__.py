"""Setting up an authenticator, and recovery codes."""
