"""Transcript in, bytes out: the formats Whisper's own tools write, and nothing else."""
