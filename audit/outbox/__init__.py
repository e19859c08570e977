"""The outbox: messages about events to people and systems."""
