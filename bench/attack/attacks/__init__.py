"""The attacks. Each module registers its own."""
