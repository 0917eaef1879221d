-- The reads of the scorer: bronze/bronze_reader.py.

-- name: unscored
-- The events that wait for their scores, oldest first.
SELECT * FROM payment_events
WHERE inference_status = 'unavailable'
ORDER BY id
LIMIT $1

-- name: unscored_count
-- The number of events that wait for their scores.
SELECT count(*) FROM payment_events WHERE inference_status = 'unavailable'
