-- Reading bronze: bronze/bronze_reader.py.

-- name: unscored
-- What waits to be scored, oldest first.
SELECT * FROM payment_events
WHERE inference_status = 'unavailable'
ORDER BY id
LIMIT $1

-- name: unscored_count
-- How many wait to be scored.
SELECT count(*) FROM payment_events WHERE inference_status = 'unavailable'
