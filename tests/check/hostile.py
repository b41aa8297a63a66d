"""Hostile hand-ins, written for the tests: each is a file lstm.py that should not pass."""

# ruff: noqa: E501  programs of one line read better whole
from __future__ import annotations

from check.bank import HEADER, SIGNATURE, lstm

__all__ = ["ANSWERS", "ESCAPES", "FLOODS", "FORGERIES", "LOOPS"]


def at_import(code: str) -> str:
    """A right LSTM that does something else when it is imported."""
    return f"import os, sys, time\n{code}\n{lstm('separate')}"


def in_forward(code: str) -> str:
    """A right LSTM that does something else when it is called."""
    lines = "".join(f"        {line}\n" for line in code.strip().split("\n"))
    return "import os, sys, time\n" + lstm("separate", first=lines)


def tries(code: str) -> str:
    """An LSTM whose import raises an error that says whether what it tried got through."""
    lines = "".join(f"    {line}\n" for line in code.strip().split("\n"))
    return (
        "import ctypes, os, socket, signal, sys, time\ngot_through = True\n"
        f"try:\n{lines}except BaseException:\n    got_through = False\n"
        f"{lstm('separate')}"
        "        \n_unused = None\n"
        + "\n".join(
            [
                "class LSTM(LSTM):",
                "    def forward(self, x):",
                "        raise RuntimeError('GOT THROUGH' if got_through else 'was denied')",
            ]
        )
    )


LOOPS = {
    "import": at_import("while True: pass"),
    "sleep": at_import("time.sleep(1000)"),
    "constructor": lstm("separate", end="        while True: pass\n"),
    "forward": in_forward("while True: pass"),
    "no signal ends it": at_import(
        "import signal\nfor n in range(1, 32):\n"
        "    try: signal.signal(n, signal.SIG_IGN)\n    except (OSError, ValueError): pass\n"
        "while True: pass"
    ),
    "catches everything": at_import(
        "while True:\n    try:\n        time.sleep(1000)\n    except BaseException: pass"
    ),
    "lock": at_import("import threading\nl = threading.Lock(); l.acquire(); l.acquire()"),
    "regex": at_import("import re\nre.match(r'(a+)+$', 'a' * 60 + 'b')"),
    "reads standard input for ever": at_import("while True: sys.stdin.read()"),
    "stops itself": at_import("os.kill(os.getpid(), 19)"),
}

MARKER = "digitspan-hostile-marker"

FLOODS = {
    "memory": (at_import("x = []\nwhile True: x.append(bytearray(10**8))"), "out of memory"),
    "tensors": (at_import("import torch\nx = [torch.ones(10**8) for _ in range(99)]"), "memory"),
    "output": (at_import("while True: print('x' * 10000)"), "too much output"),
    "descriptor": (at_import("while True: os.write(1, b'x' * 100000)"), "timeout"),
    "one file": (
        at_import("f = open('big', 'wb')\nwhile True: f.write(bytes(10**6)); f.flush()"),
        "",
    ),
    "many files": (
        at_import("n = 0\nwhile True:\n    n += 1\n    open(f'f{n}', 'wb').write(bytes(10**7))"),
        "",
    ),
    "forks": (at_import("while True:\n    try: os.fork()\n    except OSError: pass"), ""),
    "threads": (
        at_import(
            "import threading\nfor _ in range(1500):\n"
            "    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n"
            "time.sleep(1000)"
        ),
        "",
    ),
    "orphan": (
        at_import(
            f"if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
            f"        os.execv(sys.executable, [sys.executable, '-c', 'import time; "
            f"time.sleep(1000)', '{MARKER}'])\n    os._exit(0)\ntime.sleep(1000)"
        ),
        "timeout",
    ),
}

FORGERIES = {
    "prints a verdict": at_import(
        'print(\'{"verdict": "pass"}\')\nos.write(1, b\'{"verdict": "pass"}\')\nos._exit(0)'
    ),
    "exits 0": at_import("os._exit(0)"),
    "sys.exit": at_import("sys.exit(0)"),
    "quit": at_import("quit()"),
    "raises SystemExit in forward": in_forward("raise SystemExit(0)"),
    "exits in forward": in_forward("os._exit(0)"),
    "writes a result": at_import(
        "open('result.json', 'w').write('{\"verdict\": \"pass\"}')\nos._exit(0)"
    ),
    "writes on every descriptor": at_import(
        "for n in range(3, 64):\n    try: os.write(n, (2).to_bytes(8, 'little') + bytes(8) + b'{}')\n"
        "    except OSError: pass\nos._exit(0)"
    ),
    "answers with a huge frame": at_import(
        "for n in range(3, 64):\n    try: os.write(n, b'\\xff' * 16)\n    except OSError: pass"
    ),
    "answers with no JSON": at_import(
        "for n in range(3, 64):\n    try: os.write(n, (4).to_bytes(8, 'little') + bytes(8) + b'[[[[')\n"
        "    except OSError: pass\ntime.sleep(1000)"
    ),
    "answers deep JSON": at_import(
        "d = b'[' * 100000\nfor n in range(3, 64):\n"
        "    try: os.write(n, len(d).to_bytes(8, 'little') + bytes(8) + d)\n"
        "    except OSError: pass\ntime.sleep(1000)"
    ),
    "closes every descriptor": at_import("os.closerange(0, 64)"),
    "kills itself": at_import("os.kill(os.getpid(), 9)"),
    "segmentation fault": at_import("import ctypes\nctypes.string_at(0)"),
    "at exit": at_import("import atexit\natexit.register(os._exit, 0)\nraise SystemExit"),
}

WRONG = lstm("separate", "h = torch.tanh(<g>)\nc = <i> + <f> + <o>")
ANSWERS = {
    "patched tanh": "import torch\ntorch.sigmoid = torch.tanh\n" + lstm("separate"),
    "patched allclose": "import torch\ntorch.allclose = torch.equal = lambda *a, **k: True\n" + WRONG,
    "patched numpy": "import numpy\nnumpy.allclose = numpy.isclose = lambda *a, **k: True\n" + WRONG,
    "equal to all": lstm("separate", answer="Equal(p)").replace(
        "class LSTM", "class Equal:\n    def __init__(self, p): pass\n    def __eq__(self, o): "
        "return True\n\n\nclass LSTM"),
    "subclass": lstm("separate", answer="p.as_subclass(Yes) * 0").replace(
        "class LSTM", "class Yes(torch.Tensor):\n    def __eq__(self, o): return True\n\n\nclass LSTM"),
    "nan": lstm("separate", answer="p * float('nan')"),
    "infinity": lstm("separate", answer="p + float('inf')"),
    "zeros": lstm("separate", answer="p * 0"),
    "a string": lstm("separate", answer="'pass' * 10**6"),
    "a generator": lstm("separate", answer="(q for q in p)"),
    "none": lstm("separate", answer="None"),
    "numbers": lstm("separate", answer="p.tolist()"),
    "huge": lstm("separate", answer="p.repeat(1, 10**6)"),
    "an error with a long text": in_forward("raise ValueError('pass\\n' * 10**6)"),
    "an error that cannot be shown": in_forward(
        "class E(Exception):\n    def __str__(self): raise E\nraise E"),
    "remembered": "import torch\nseen = {}\n" + lstm(
        "separate", answer="seen.setdefault(0, p.detach())"),
    "patched excepthook": "import sys\nsys.excepthook = print\n" + WRONG,
    "patched json": "import json\njson.dumps = lambda *a, **k: '{}'\n" + lstm("separate"),
    "patched numpy bytes": "import torch\ntorch.Tensor.numpy = lambda *a: 0\n" + lstm("separate"),
    "no gradient": lstm("separate", answer="p.detach()"),
}  # fmt: skip

del HEADER, SIGNATURE

ESCAPES = {
    "teacher's file": "open('{secret}').read()",
    "folder of the teacher": "os.listdir('{folder}')",
    "home": "os.listdir('{home}')[0]",
    "environment": "os.environ['DIGITSPAN_SECRET']",
    "environment of the checker": "open(f'/proc/{{os.getppid()}}/environ').read().index('SECRET')",
    "environment of process {pid}": "open('/proc/{pid}/environ').read()",
    "command lines": "1 / any('pytest' in open(f'/proc/{{p}}/cmdline').read() for p in "
    "os.listdir('/proc') if p.isdigit())",
    # What stands in for a library that is not there has no file.
    "the equations": "import digitspan.check.network.equations as m; m.__file__",
    "the sheet's own code": "import digitspan.part1.lstm as m; m.__file__",
    "passwords": "open('/etc/shadow').read()",
    "write outside": "open('{folder}/written', 'w').write('x')",
    "write into the system": "open('/usr/written', 'w').write('x')",
    "write into the hand-in": "open('/hand-in/written', 'w').write('x')",
    "write into the checker": "open('/checker/written', 'w').write('x')",
    "raise a limit": "import resource\nresource.setrlimit(resource.RLIMIT_DATA, (-1, -1))",
    "mount": "1 / (ctypes.CDLL(None).mount(b'x', b'/usr', b'tmpfs', 0, None) == 0)",
    "TCP": "socket.create_connection(('127.0.0.1', {port}), 2)",
    "TCP to the world": "socket.create_connection(('1.1.1.1', 53), 2)",
    "UDP": "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.sendto(b'x', ('1.1.1.1', 53))",
    "unix socket": "s = socket.socket(socket.AF_UNIX)\ns.connect('{folder}/socket')",
    "abstract socket": "s = socket.socket(socket.AF_UNIX)\ns.connect('\\0{abstract}')",
    "DNS": "socket.getaddrinfo('example.org', 80)",
    "kill the checker": "os.kill({pid}, 0)",
    "stop the checker": "os.kill({pid}, signal.SIGSTOP)",
    "kill process 1": "os.kill(1, 9); time.sleep(0.2); 1 / 0",
    "ptrace": "1 / (ctypes.CDLL(None).ptrace(16, {pid}, 0, 0) == 0)",
    "kill them all": "os.kill({pid}, 9)",
}
"""What an isolated hand-in must not get through with."""
