"""trainings: programmes, completions of people, revocations."""
