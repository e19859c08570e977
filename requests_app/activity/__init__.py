"""The Activity page and its exports."""
