"""``python -m llmcomp``."""

import sys

from llmcomp.cli import main

if __name__ == "__main__":
    sys.exit(main())
