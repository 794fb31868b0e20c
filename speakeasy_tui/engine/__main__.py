"""``python -m speakeasy_tui.engine --engine real|sim``."""

from speakeasy_tui.engine.process import main

if __name__ == "__main__":
    main()
