"""Runs commands one after the other in one process: `python calls.py < calls.json`, as JSON.

For each: its exit status, what it printed, what it said, the seconds it took, whether torch was
imported by then, and what lies in the current folder.
"""

import contextlib
import io
import json
import os
import sys
import time

from digitspan.cli import main

if __name__ == "__main__":
    found = []
    for words in json.load(sys.stdin):
        out, err, begun = io.StringIO(), io.StringIO(), time.process_time()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(words)
        seconds = time.process_time() - begun
        found.append(
            {
                "status": status,
                "out": out.getvalue(),
                "err": err.getvalue(),
                "seconds": seconds,
                "torch": "torch" in sys.modules,
                "files": sorted(os.listdir()),
            }
        )
    print(json.dumps(found))
