"""The grantee chapter: what a hostile holder of a login does on the target to keep access past its end."""
