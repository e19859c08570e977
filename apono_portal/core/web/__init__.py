"""HTTP, in both directions."""
