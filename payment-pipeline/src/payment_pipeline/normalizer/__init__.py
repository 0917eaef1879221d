"""Turns raw webhooks into PaymentEvents, or into dead letters that name what is wrong."""
