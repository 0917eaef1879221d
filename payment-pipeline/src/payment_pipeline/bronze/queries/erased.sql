-- Events that come after the person was erased: bronze/erased.py.

-- name: any_erased
-- Whether anybody was; the one question of nearly every batch.
SELECT EXISTS (SELECT FROM erased_objects)

-- name: tokens
-- What stands for the owner of these objects; $1 are providers and $2 ids.
SELECT provider, object_id, token
FROM unnest($1::text[], $2::text[]) AS wanted (provider, object_id)
JOIN erased_objects USING (provider, object_id)
