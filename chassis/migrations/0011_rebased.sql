-- A consumer whose database was restored from an earlier time goes on once an operator has said how.
ALTER TABLE offsets ADD COLUMN rebased_from bigint NOT NULL DEFAULT 0;

COMMENT ON COLUMN offsets.rebased_from IS 'how far Kafka had been told when an operator rebased this row; 0: never in this life of the topic';
COMMENT ON COLUMN offsets.acts_from IS 'records before this offset are copied and not acted upon: they were there before the consumer, or were acted upon before its database was restored; 0 once it is past them';
