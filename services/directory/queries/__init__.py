"""What directory shows: one SQL and one view model for each screen or list."""
