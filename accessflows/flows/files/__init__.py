"""Access flows as code: a YAML file, what applying it would change, and applying it."""
