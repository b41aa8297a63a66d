"""`python -m digitspan`: the same as the command `digitspan`."""

import os
import sys

# `python -m` looks for modules in the current folder first, which may be somebody else's study:
# nothing in it is imported unless it is asked for.
if sys.path and sys.path[0] == os.getcwd() and not os.path.isdir("digitspan"):
    del sys.path[0]

from digitspan.cli import main

sys.exit(main())
