"""What a request says about its client, and who may see a page."""
