"""The attacks. Each module registers its own; the order here is the order of the campaign."""
