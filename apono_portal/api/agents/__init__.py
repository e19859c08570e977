"""The MCP server, with which AI agents request access for their users."""
