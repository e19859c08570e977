"""Passkeys (WebAuthn): adding one, and verifying with one."""
