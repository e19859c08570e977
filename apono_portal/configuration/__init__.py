"""Settings from the environment: what there is, reading it, checking it, and a guided first start."""
