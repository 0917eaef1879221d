"""The models of dbt, and the dashboards that read them."""
