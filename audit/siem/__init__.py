"""The log as a stream of OCSF events to SIEMs."""
