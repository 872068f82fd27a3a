"""``python -m scratchnst``."""

import sys

from scratchnst.cli import main

if __name__ == "__main__":
    sys.exit(main())
