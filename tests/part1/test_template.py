"""What both networks owe to the course's template and to the sheet's rules."""

import ast
import inspect
import py_compile
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from digitspan.part1.lstm import LSTM
from digitspan.part1.vanilla_rnn import VanillaRNN

NETWORKS = [VanillaRNN, LSTM]
FOLDER = Path(inspect.getfile(VanillaRNN)).parent
FILES = sorted(FOLDER.glob("*.py"))

both = pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)


@both
def test_constructor_is_the_templates(network):
    parameters = inspect.signature(network).parameters
    assert list(parameters)[:6] == [
        "seq_length",
        "input_dim",
        "num_hidden",
        "num_classes",
        "batch_size",
        "device",
    ]
    assert parameters["device"].default == "cpu"
    required = [name for name, p in parameters.items() if p.default is inspect.Parameter.empty]
    assert required == ["seq_length", "input_dim", "num_hidden", "num_classes"]


@both
def test_any_batch_size_and_length_is_accepted(network):
    model = network(10, 1, 8, 10, 128, "cpu")
    for B, num_inputs in ((1, 1), (3, 10), (128, 4)):
        digits = torch.zeros(B, num_inputs)
        assert model(digits).shape == (B, 10)
        assert model(digits.unsqueeze(-1)).shape == (B, 10)


@both
def test_parameters_are_made_on_the_device(network):
    model = network(10, 10, 8, 10, device="meta")
    assert {p.device.type for p in model.parameters()} == {"meta"}
    # Digits on another device than the CPU become one-hot there, not on the CPU.
    digits = torch.zeros(3, 4, dtype=torch.long, device="meta")
    assert model(digits).device.type == "meta"


@both
def test_documented_default_start_is_uniform_and_drawn_from_the_generator(network):
    bound = 16**-0.5
    model = network(10, 10, 16, 10, generator=torch.Generator().manual_seed(3))
    values = torch.cat([p.flatten() for p in model.parameters()]).detach()
    assert values.abs().max() <= bound
    assert values.min() < -0.95 * bound  # of 500 draws and more: p = 3e-6
    assert values.max() > 0.95 * bound
    again = network(10, 10, 16, 10, generator=torch.Generator().manual_seed(3))
    other = network(10, 10, 16, 10, generator=torch.Generator().manual_seed(4))
    assert all(map(torch.equal, model.parameters(), again.parameters()))
    assert not any(map(torch.equal, model.parameters(), other.parameters()))


@both
def test_start_comes_from_the_global_generator_where_none_is_given(network):
    torch.manual_seed(5)
    model = network(10, 1, 8, 10)
    torch.manual_seed(5)
    assert all(map(torch.equal, model.parameters(), network(10, 1, 8, 10).parameters()))


@both
def test_start_is_an_argument(network):
    def ones(model, generator):
        assert generator is None
        for parameter in model.parameters():
            torch.nn.init.ones_(parameter)

    assert all((p == 1).all() for p in network(10, 1, 8, 10, initialisation=ones).parameters())


# The sheet's rules, by syntax tree ------------------------------------------------------------


def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imported_modules(tree):
    """The modules that a file imports, with their level: ("torch.utils", 0)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, 0) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", node.level


def used_of_nn(tree):
    """What a file takes from torch.nn: the names after `nn.` and those imported out of it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            chain = ast.unparse(node).split(".")
            if chain[:2] == ["torch", "nn"] and len(chain) > 2:
                yield ".".join(chain[2:])
            elif chain[0] == "nn":
                yield ".".join(chain[1:])
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("torch.nn"):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_only_torch_numpy_and_the_standard_library_are_imported(path):
    siblings = {file.stem for file in FILES}
    for module, level in imported_modules(tree_of(path)):
        top = module.split(".")[0]
        own = level <= 1 and module in siblings
        assert own or top in {"torch", "numpy", *sys.stdlib_module_names}, f"{path.name}: {module}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_of_torch_nn_only_module_and_parameter_are_used(path):
    allowed = {"Module", "Parameter"}
    if path.name == "train.py":
        allowed |= {"CrossEntropyLoss", "utils.clip_grad_norm_", "utils"}
    assert set(used_of_nn(tree_of(path))) <= allowed
    modules = {module for module, _ in imported_modules(tree_of(path))}
    assert not [module for module in modules if module.startswith("torch.nn.")]
    words = {node.attr for node in ast.walk(tree_of(path)) if isinstance(node, ast.Attribute)}
    assert not words & {"functional", "rnn_tanh", "lstm", "linear", "lstm_cell", "_VF"}


def test_rule_for_torch_nn_can_go_red():
    source = "import torch\nfrom torch.nn import functional\nx = torch.nn.Linear(1, 1)\nnn.RNN\n"
    assert set(used_of_nn(ast.parse(source))) >= {"Linear", "RNN", "torch.nn.functional"}


@pytest.mark.parametrize("name", ["vanilla_rnn.py", "lstm.py"])
def test_file_holds_its_loop_and_numbers_its_equations(name):
    tree, text = tree_of(FOLDER / name), (FOLDER / name).read_text(encoding="utf-8")
    [forward] = [n for n in ast.walk(tree) if getattr(n, "name", "") == "forward"]
    assert any(isinstance(node, ast.For) for node in ast.walk(forward))
    for number in {"vanilla_rnn.py": (1, 2), "lstm.py": range(4, 11)}[name]:
        lines = [line for line in text.splitlines() if line.endswith(f"# ({number})")]
        assert len(lines) == 1, f"equation ({number}) has {len(lines)} lines of code in {name}"


def python_3_8():
    """A Python 3.8 of this machine; None where there is none."""
    versions = sorted(Path.home().glob(".pyenv/versions/3.8*/bin/python"))
    for candidate in [*map(str, versions), shutil.which("python3.8")]:
        if candidate:
            command = [candidate, "-c", "import sys; print(*sys.version_info[:2])"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.stdout.split() == ["3", "8"]:
                return candidate
    return None


def test_files_compile_under_python_3_8(tmp_path):
    python = python_3_8()
    if python is None:
        pytest.skip("no Python 3.8 on this machine (python3.8, or pyenv's)")
    for path in FILES:
        shutil.copy(path, tmp_path)
    (tmp_path / "too_new.py").write_text("match 1:\n    case 1: pass\n")
    done = subprocess.run(
        [python, "-m", "compileall", "-q", *(path.name for path in FILES)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    # The check can go red: what 3.8 does not know is refused, and this Python does know it.
    py_compile.compile(str(tmp_path / "too_new.py"), doraise=True)
    command = [python, "-m", "compileall", "-q", "too_new.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "SyntaxError" in done.stdout


def test_annotations_are_not_evaluated_so_that_python_3_8_can_import_them():
    # `X | None` and `list[str]` compile in 3.8, but fail there when they are evaluated.
    for path in FILES:
        if path.name != "__init__.py":
            names = [
                alias.name
                for node in ast.walk(tree_of(path))
                if isinstance(node, ast.ImportFrom) and node.module == "__future__"
                for alias in node.names
            ]
            assert names == ["annotations"], path.name
