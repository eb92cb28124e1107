"""What is shown: one SQL and one view model per screen or list."""
