"""What the pages read of the services' answers: only the fields that are shown; anything else may come and go."""
