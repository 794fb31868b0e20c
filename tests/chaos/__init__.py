"""A storm over a queue, and what is left of it: ``python -m tests.chaos --help``."""
