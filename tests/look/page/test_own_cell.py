"""A cell of one's own on the page: its JavaScript lies beside its module, held to PyTorch."""

from pathlib import Path

import numpy as np
import pytest
from pages import kept_run, page_of

from digitspan.errors import UsageError
from digitspan.look.page import equations_of
from digitspan.look.probe import trace
from digitspan.training.engine import load_network

EXAMPLES = Path(__file__).parents[3] / "examples"
WARNING = "Do not trust this page."


@pytest.fixture
def leaky(monkeypatch):
    """The cell of examples/, where Python finds it."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return "leaky:LeakyRNN"


@pytest.fixture
def copied(monkeypatch, tmp_path):
    """The same cell in the current folder, its equations to be changed there."""
    for name in ("leaky.py", "leaky.js"):
        (tmp_path / name).write_bytes((EXAMPLES / name).read_bytes())
    monkeypatch.syspath_prepend(str(EXAMPLES))  # the module is loaded already, perhaps
    monkeypatch.chdir(tmp_path)
    return tmp_path / "leaky.js"


def test_equations_lie_beside_the_module(leaky, copied, tmp_path):
    assert equations_of(leaky) == copied
    copied.unlink()
    assert equations_of(leaky) == EXAMPLES / "leaky.js"
    assert equations_of("leaky_too:Cell") is None
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "module.js").write_text("")
    assert equations_of("package.module:Cell") == tmp_path / "package" / "module.js"


@pytest.mark.parametrize("encoding", ["one-hot", "scalar"])
def test_its_numbers_are_those_of_the_trace(open_page, leaky, encoding):
    run = kept_run(leaky, encoding, hidden_size=16)
    page = open_page(page_of(run, kept_run("rnn"))[0])
    digits = [3, 1, 4, 1, 5, 9, 2, 6, 5]
    found = page.evaluate(
        """(line) => {
          const { probabilities, gradientNorms } = digitspan.trace(0, line);
          return { probabilities: probabilities.map((row) => [...row]),
                   norms: [...gradientNorms.hidden] };
        }""",
        "".join(map(str, digits)),
    )
    network = load_network(run.config, run.weights)
    expected = trace(network, digits, input_size=run.config.input_size)
    np.testing.assert_allclose(found["probabilities"], expected.probabilities, atol=1e-5)
    np.testing.assert_allclose(found["norms"], expected.gradient_norms["hidden"], rtol=1e-4)
    assert WARNING not in page.locator("#verdicts").inner_text()


def test_equations_that_are_not_its_own_are_not_to_be_trusted(open_page, leaky, copied):
    copied.write_text(copied.read_text().replace("scale(0.5, h)", "scale(0.6, h)"))
    page = open_page(page_of(kept_run(leaky), kept_run("rnn"))[0])
    assert page.locator("#verdicts").inner_text().count(WARNING) == 1


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("", r'leaky.js does not define CELLS\["leaky:LeakyRNN"\] = {states, gates, step'),
        ('CELLS["leaky:Other"] = {};', "does not define"),
        ('CELLS["leaky:LeakyRNN"] = {}; // </ScRipt>', "holds </script or <!--"),
    ],
)
def test_equations_that_cannot_be_put_into_a_page_are_refused(leaky, copied, script, said):
    copied.write_text(script)
    with pytest.raises(UsageError, match=said):
        page_of(kept_run(leaky))
