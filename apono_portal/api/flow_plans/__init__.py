"""Plans of access flows that a token applies once its admin has confirmed them in a browser."""
