"""Users from a CSV file: read, previewed row by row, and imported as previewed."""
