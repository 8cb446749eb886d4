SELECT to_date(updated_at) AS day, count(*) AS items
FROM items
GROUP BY to_date(updated_at)
