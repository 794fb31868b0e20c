"""The way in, as ``speakeasy`` and ``python -m speakeasy_tui``."""

import sys


def main() -> None:
    """Run the command; Ctrl-C ends it in silence also while it is being imported."""
    try:
        from speakeasy_tui.cli.main import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
