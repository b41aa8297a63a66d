"""What the child does to torch changes what a check costs, and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

import digitspan.check.sandbox

FOLDER = Path(digitspan.check.sandbox.__file__).parent
CODE = """
import sys
sys.path.insert(0, sys.argv[1])
from child.compiler import leave_compiler_alone
import torch
torch.set_deterministic_debug_mode("warn")
assert "torch._dynamo" not in sys.modules
assert torch.empty(50).isnan().all()
leave_compiler_alone()
weight = torch.nn.Parameter(torch.ones(2))
optimizer = torch.optim.RMSprop([weight])
optimizer.zero_grad()
weight.sum().backward()
optimizer.step()
assert (weight != 1).all()
files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
assert "torch._dynamo.eval_frame" not in sys.modules
import torch._dynamo.config
assert "torch._dynamo.eval_frame" in sys.modules
assert torch._dynamo.reset() is None
"""


@pytest.mark.slow
def test_compiler_is_imported_only_where_it_is_asked_for():
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(FOLDER)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
