"""From what was selected to a request."""
