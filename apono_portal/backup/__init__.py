"""Backups of the portal's database, and restoring them without reviving what has ended since."""
