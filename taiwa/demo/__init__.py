"""みどり町, the fictional town of the demo (999997, a valid check digit of no real prefecture).

``town/people.csv`` and ``town/sections.csv`` are its roster of 1 April 2026: 17 sections, 217 people, 168 of them
full time (常勤), UTF-8 with a byte order mark. ``town/people-excel.csv`` is the same roster as Excel saves it on a
Japanese Windows: CP932, days as 2026/4/1, and 吉 where the name has 𠮷. That character is not in CP932 (髙 and 﨑 are);
Excel itself would write ``?`` and lose the name, so the file holds what a person in charge then types by hand.
"""
