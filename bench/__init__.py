"""Measurements of the portal: the attack campaign, the mutation run."""
