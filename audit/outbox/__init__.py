"""Messages that events send to the outside world."""
