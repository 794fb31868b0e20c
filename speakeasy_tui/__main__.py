"""``python -m speakeasy_tui`` is the same as ``speakeasy``."""

from speakeasy_tui.cli.main import main

if __name__ == "__main__":
    main()
