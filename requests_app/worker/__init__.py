"""The worker that reconciles the database with the targets."""
