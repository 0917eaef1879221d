"""Erases a person from every store, with a proof. Events and amounts stay."""
