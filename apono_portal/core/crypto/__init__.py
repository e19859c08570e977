"""The keyring, and encryption of secrets at rest."""
