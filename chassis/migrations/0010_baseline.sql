-- From where on a consumer acts upon the records of a partition.
ALTER TABLE offsets ADD COLUMN acts_from bigint NOT NULL DEFAULT 0;

COMMENT ON COLUMN offsets.acts_from IS 'records before this offset were there before the consumer: copied, not acted upon; 0 once it is past them';
