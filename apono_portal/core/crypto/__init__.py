"""Keyring, encryption of secrets at rest, key rotation."""
