-- Tokens for events that arrive after an erasure: bronze/erased.py.

-- name: any_erased
-- True if any customer was erased. Nearly every batch needs only this query.
SELECT EXISTS (SELECT FROM erased_objects)

-- name: tokens
-- The tokens of these objects; $1 are providers and $2 are ids.
SELECT provider, object_id, token
FROM unnest($1::text[], $2::text[]) AS wanted (provider, object_id)
JOIN erased_objects USING (provider, object_id)
