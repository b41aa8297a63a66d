"""Many processes that open one store at once: `python crowd.py FOLDER PROCESSES TIMES`, as JSON.

They are forked, so that they really come at once, which eight starts of Python would not.
"""

import json
import os
import signal
import sys
from pathlib import Path

from digitspan.errors import DigitspanError
from digitspan.study.store import Store


def crowd(folder, processes):
    """What each of some processes got that open the store of a folder at the same moment."""
    start, go = os.pipe()
    results, tell = os.pipe()
    end, done = os.pipe()
    children = []
    for _ in range(processes):
        child = os.fork()
        if child == 0:
            os.close(go)
            os.close(done)
            os.read(start, 1)  # returns when the last writing end is closed
            try:
                with Store.create(folder):
                    os.write(tell, json.dumps([os.getpid(), "works"]).encode() + b"\n")
                    os.read(end, 1)
            except DigitspanError as error:
                os.write(tell, json.dumps([os.getpid(), str(error)]).encode() + b"\n")
            except BaseException as error:
                os.write(tell, json.dumps([os.getpid(), repr(error)]).encode() + b"\n")
            os._exit(0)
        children.append(child)
    os.close(start)
    os.close(tell)
    os.close(go)
    text = b""
    while text.count(b"\n") < processes:
        text += os.read(results, 65536)
    os.close(done)
    for child in children:
        os.waitpid(child, 0)
    os.close(results)
    os.close(end)
    return [json.loads(line) for line in text.splitlines()]


def killed(folder):
    """Kill the holder of a store, and open it at once."""
    held, tell = os.pipe()
    child = os.fork()
    if child == 0:
        Store.create(folder).set_value("config", "kept")
        os.write(tell, b"!")
        signal.pause()
    os.read(held, 1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(held)
    os.close(tell)
    with Store.create(folder) as store:
        return [child, store.value("config")]


if __name__ == "__main__":
    base, processes, times = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    found = []
    for number in range(times):
        place = base / str(number)
        place.mkdir()
        found.append(crowd(place, processes) if processes > 1 else killed(place))
    print(json.dumps(found))
