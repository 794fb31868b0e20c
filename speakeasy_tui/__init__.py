"""speakeasy-tui: batch transcription with faster-whisper in a live terminal table."""

__version__ = "0.1.0"
