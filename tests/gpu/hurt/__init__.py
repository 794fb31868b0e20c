"""What hurts a GPU on purpose; as a folder on PYTHONPATH it comes into an engine process."""
