"""What dbt builds on the lake's tables, and who reads it."""
