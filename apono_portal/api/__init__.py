"""The API: tokens, and the operations that call the same services as the pages."""
