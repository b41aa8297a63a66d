"""`python -m digitspan`: the same as the command `digitspan`."""

import sys

from digitspan.cli import main

sys.exit(main())
