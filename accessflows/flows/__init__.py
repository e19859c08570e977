"""Access flows: input, validation, versions, policies and pages."""
