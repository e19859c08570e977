"""What is measured, one module for each part. `measure(ground)` returns its rows."""
