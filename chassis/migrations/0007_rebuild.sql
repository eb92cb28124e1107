-- A projection is built anew in a schema of its own; then the rows in which the old one differs are put right, at once.

CREATE TABLE rebuilds (
    projection text PRIMARY KEY,
    fingerprint text NOT NULL,
    passed uuid[] NOT NULL DEFAULT '{}',
    began_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

COMMENT ON TABLE rebuilds IS 'projections being built anew; offsets and versions stand under the consumer rebuild:<projection>';
COMMENT ON COLUMN rebuilds.fingerprint IS 'of code and migrations: a rebuild of other ones is not gone on with';
COMMENT ON COLUMN rebuilds.passed IS 'open dead letters of the service that were passed by: followed as it applies or discards them';

-- What differs between a table and the one that was built beside it, and, if wanted, the correction. Only rows that
-- differ are touched, so readers go on and see all of it or nothing. Runs as whoever may write the table.
CREATE FUNCTION put_right(
    beside text, relation text, change boolean, OUT missing bigint, OUT wrong bigint, OUT surplus bigint
)
LANGUAGE plpgsql AS $$
DECLARE
    columns text;
    same_key text;
    same_row text;
BEGIN
    SELECT string_agg(format('%I', attname), ', ' ORDER BY attnum),
           format('ROW(%s)::text = ROW(%s)::text',
                  string_agg(format('was.%I', attname), ', ' ORDER BY attnum),
                  string_agg(format('built.%I', attname), ', ' ORDER BY attnum))
    INTO columns, same_row
    FROM pg_attribute
    WHERE attrelid = format('public.%I', relation)::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '';
    SELECT string_agg(format('was.%1$I = built.%1$I', a.attname), ' AND ' ORDER BY a.attnum)
    INTO same_key
    FROM pg_index AS i
    JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
    WHERE i.indrelid = format('public.%I', relation)::regclass AND i.indisprimary;
    IF same_key IS NULL THEN
        RAISE EXCEPTION 'the table % has no primary key', relation;
    END IF;

    EXECUTE format('SELECT count(*) FROM public.%1$I AS was JOIN %2$I.%1$I AS built ON %3$s WHERE NOT (%4$s)',
                   relation, beside, same_key, same_row) INTO wrong;
    IF NOT change THEN
        EXECUTE format('SELECT count(*) FROM public.%1$I AS was '
                       'WHERE NOT EXISTS (SELECT FROM %2$I.%1$I AS built WHERE %3$s)',
                       relation, beside, same_key) INTO surplus;
        EXECUTE format('SELECT count(*) FROM %2$I.%1$I AS built '
                       'WHERE NOT EXISTS (SELECT FROM public.%1$I AS was WHERE %3$s)',
                       relation, beside, same_key) INTO missing;
        RETURN;
    END IF;
    -- Deleted and inserted, never updated: two rows may have to exchange the values of a unique index.
    EXECUTE format('DELETE FROM public.%1$I AS was '
                   'WHERE NOT EXISTS (SELECT FROM %2$I.%1$I AS built WHERE %3$s AND %4$s)',
                   relation, beside, same_key, same_row);
    GET DIAGNOSTICS surplus = ROW_COUNT;
    surplus := surplus - wrong;
    EXECUTE format('INSERT INTO public.%1$I (%4$s) OVERRIDING SYSTEM VALUE '
                   'SELECT %4$s FROM %2$I.%1$I AS built '
                   'WHERE NOT EXISTS (SELECT FROM public.%1$I AS was WHERE %3$s)',
                   relation, beside, same_key, columns);
    GET DIAGNOSTICS missing = ROW_COUNT;
    missing := missing - wrong;
    IF surplus < 0 OR missing < 0 THEN
        RAISE EXCEPTION 'the table % was changed by somebody else meanwhile', relation;
    END IF;
END $$;

-- The same number for the same rows, in whatever order they lie: how two copies are compared.
CREATE FUNCTION checksum_of(relation text, OUT held bigint, OUT checksum text)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    EXECUTE format('SELECT count(*), coalesce(sum(hashtextextended(it::text, 0)), 0)::text FROM public.%I AS it', relation)
    INTO held, checksum;
END $$;

DO $$
BEGIN
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON rebuilds TO %I', service_role('worker'));
END $$;
