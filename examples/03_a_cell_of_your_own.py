"""A cell of one's own beside the RNN: python examples/03_a_cell_of_your_own.py (docs/own-cell.md)

or, from this folder: digitspan study --cells leaky:LeakyRNN rnn --lengths 5 8 12 --seeds 3
"""

import tempfile
from pathlib import Path

from digitspan.cli import main

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        options = "--lengths 5 8 --seeds 2 --train-steps 400 --hidden-size 32 --workers 1"
        main(["study", "--cells", "leaky:LeakyRNN", "rnn", *options.split(), "--out", folder])
        # leaky.js has its equations; --trust, for they are code that only the study names.
        main(["look", folder, "--out", f"{folder}/page.html", "--trust"])
        print(*sorted(path.name for path in Path(folder).glob("*.*")))
