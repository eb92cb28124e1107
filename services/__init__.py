"""The services: each owns its facts, its database and its topics, and knows the others by their events only."""
