"""Provisioning of users and groups by a company's directory: SCIM 2.0 (RFC 7643, RFC 7644)."""
