"""The Audit Log page and its exports."""
