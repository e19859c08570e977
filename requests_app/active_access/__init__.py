"""The Active Access page: who has access to what now, and revoking it."""
