"""What is checked of the tables, beside what dbt tests."""
