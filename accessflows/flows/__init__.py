"""Access flows: terms, history, pages."""
