"""``python -m nars`` is ``nars``."""

from __future__ import annotations

import sys

from nars.cli import main

if __name__ == "__main__":
    sys.exit(main())
