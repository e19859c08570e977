"""Pages of requests: they speak HTTP and call services."""
