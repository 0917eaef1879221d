"""Raw events to PaymentEvents, or to a dead letter that says why."""
