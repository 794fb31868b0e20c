"""Checks for a machine with an NVIDIA GPU: ``python -m tests.gpu.check``; not pytest's."""
