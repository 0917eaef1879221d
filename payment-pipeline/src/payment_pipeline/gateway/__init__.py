"""The gateway: verifies signed webhooks, writes them to Kafka and answers them."""
