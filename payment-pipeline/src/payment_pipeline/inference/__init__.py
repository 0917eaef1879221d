"""Fraud, churn and retry strategy, over HTTP, from models that can explain themselves."""
