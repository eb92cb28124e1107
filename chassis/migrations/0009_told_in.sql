-- A fact may be told in several major versions of its event while readers move from one to the next.
ALTER TABLE event_log ADD COLUMN told_in text;

COMMENT ON COLUMN event_log.told_in IS 'major versions in which the same fact is told by rows beside each other, as in 1,2; null: this one only';
