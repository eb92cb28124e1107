"""The ways a notice takes. In-app needs none of its own: a notice is delivered by standing in the inbox."""
