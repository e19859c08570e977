"""The SCIM endpoint, and the pages of directories and their tokens."""
