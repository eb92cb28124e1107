"""What is shown: one SQL and one view model per screen or list; and the names that texts are made of."""
