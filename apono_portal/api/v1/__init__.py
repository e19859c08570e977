"""Version 1 of the API. Its operations parse, call the services of the pages, and describe the result."""
