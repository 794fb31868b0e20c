"""The engine: one killable process per device, audio in, transcript out.

Nobody imports this package from outside: the runner starts ``python -m speakeasy_tui.engine``
and speaks `core.engineprotocol` with it over pipes. It is the only place that imports torch,
ctranslate2, faster_whisper and av.

``python -m speakeasy_tui.engine.inspect`` and ``… .fetch`` are small processes of their own;
``… .helperprocess`` is one that reads files for an engine.
"""
