"""directory: the town, its sections, people, calendar, rules, accounts and tokens."""
