"""Checks a training script: what it did, in which order, while it ran for a few steps."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from digitspan.check.findings import Findings, Section
from digitspan.check.reading.source import (
    Source,
    line_at,
    method_called,
    modules_imported,
    nodes_of,
)
from digitspan.check.sandbox.process import ChildLost, ChildProcess, ChildRefused
from digitspan.check.sandbox.signatures import World, role_of

__all__ = ["OWN_ERRORS", "Trained", "check_training"]

STEPS = 4
"""Steps of the optimiser that are traced."""
SECONDS = 30.0
"""How long a run of the script may take for them."""
_MOST_SCRIPTS = 3


class Trained(NamedTuple):
    """What was found about the training scripts, and what they say about the networks."""

    section: Section
    losses: dict[str, set[str]]
    """What the loss was given of the "rnn" and the "lstm": "logits", "probabilities", ..."""
    worlds: dict[str, World]
    """What each is built with and fed; where it is fed and not trained, only the precision."""

    def losses_of(self, kind: str) -> set[str]:
        """What the loss was given of a network; nothing where no run trains it."""
        return self.losses.get(kind, set())

    def losses_of_others(self, kind: str) -> set[str]:
        """What it was given of the other network."""
        return set().union(*(given for of, given in self.losses.items() if of != kind))


_LISTS = ("slopes", "held", "moved", "losses", "optimizers", "lessons", "names")
"""The lists in what the child says of a network."""


class _Run(NamedTuple):
    """One way to call a script."""

    options: list[str]
    guessed: bool = False
    """The script says nowhere that it takes these."""
    switched: bool = False
    """With a switch that may choose the other network, or do something else."""


def check_training(
    usable: Callable[[], ChildProcess | None],
    scripts: list[Source],
    classes: dict[str, str],
    seed: int,
    sources: list[Source] | None = None,
) -> Trained:
    """Run each training script for a few steps, for each network, and judge what it did.

    Args:
        usable: gives a child to run it in; None: it cannot be run.
        scripts: the scripts, the likeliest first.
        classes: the names of the networks' classes, with what each is, "rnn" or "lstm".
        seed: of what the scripts draw at random.
        sources: all of the hand-in, among which a script's own modules are.
    """
    findings = Findings(scripts[0].name if scripts else "")
    sources = sources or []
    trained = Trained(Section(), {}, {})
    if not scripts:
        findings.add("script-missing")
    decided = bool(scripts)
    for script in scripts[:_MOST_SCRIPTS]:
        findings.file = script.name
        if not _check_source(script, sources, findings):
            continue
        first = script is scripts[0]
        stepped = whole = False
        for number, run in enumerate(_runs(script)):
            if run.switched and all(map(trained.losses_of, classes.values())):
                break
            child = usable()
            told = Findings(script.name) if run.switched else findings
            trace = _trace(child, script, run, classes, seed, told) if child else {}
            networks = _networks(trace)
            if run.switched:
                if not any(_is_news(network, trained) for network in networks):
                    continue
                findings.found += [f for f in told.found if f not in findings.found]
            if number and not networks and (run.guessed or stepped):
                continue  # a network that is not chosen in this way
            if not first and not networks:
                continue  # a script of something else
            went = _judge(script, trace, networks, findings, trained)
            whole = went if not number else whole and went
            stepped = stepped or any(event.name == "step" for event in _events(trace))
        if first or stepped:
            decided = decided and whole and stepped
    return trained._replace(section=findings.section(decided=decided or findings.faults() > 0))


def _check_source(script: Source, sources: list[Source], findings: Findings) -> bool:
    """What is wrong before it runs; returns whether it can be run."""
    place = script.name, script.line
    if script.tree is None:
        findings.add("script-not-python", *place, path=script.name, error=script.error)
        return False
    if script.error:
        findings.add("script-wrong-encoding", *place, path=script.name, error=script.error)
    modules = modules_imported(script.tree)
    files = [source for source in sources if PurePosixPath(source.path).stem in modules]
    calls = [call for file in (script, *files) for call in nodes_of(file.tree, ast.Call)]
    if not any(method_called(call) in ("backward", "grad") for call in calls):
        findings.add("script-not-filled-in")
        return False
    return True


def _trace(
    child: ChildProcess,
    script: Source,
    run: _Run,
    classes: dict[str, str],
    seed: int,
    findings: Findings,
) -> dict[str, Any]:
    """What a script does in one run; empty where it cannot be run."""
    child.cuda.clear()
    question = {"do": "train", "file": script.path, "options": run.options, "steps": STEPS,
                "classes": classes, "seed": seed % 2**32}  # fmt: skip
    try:
        trace, _ = child.ask(question, seconds=SECONDS)
    except ChildLost as lost:
        findings.add("script-lost", steps=STEPS, reason=lost)
        return {}
    except ChildRefused as error:
        findings.add("script-could-not-be-run", error=error)
        return {}
    for place in sorted(child.cuda)[:1]:
        findings.add("script-cuda-without-asking", *place)
    libraries = trace.get("libraries")
    names = [str(name)[:60] for name in libraries] if isinstance(libraries, list) else []
    if names:
        findings.add("library-not-here", libraries=", ".join(sorted(names)))
    return trace


def _judge(
    script: Source,
    trace: dict[str, Any],
    networks: list[dict[str, Any]],
    findings: Findings,
    trained: Trained,
) -> bool:
    """Judge one run, and note what it says of the networks; returns whether it got through."""
    if trace.get("course_dataset") is True:
        findings.add("dataset-missing")
    events = _events(trace)
    steps = sum(event.name == "step" for event in events)
    _check_text(script, events, findings)
    whole = _check_error(trace, steps, findings) if trace else False
    if steps:
        _check_order(events, findings)
        _check_optimizer(trace, networks, events, findings)
    for network in networks:
        kind = network["kind"]
        slopes, held, moved, losses = (
            {str(name)[:80] for name in network[key]} for key in _LISTS[:4]
        )
        trained.losses[kind] = trained.losses.get(kind, set()) | losses
        world = trained.worlds.get(kind)
        if slopes and (world is None or not world.fed):
            trained.worlds[kind] = _world(network)
        elif world is None and network.get("fed"):
            trained.worlds[kind] = World({}, (), _world(network).dtype)
        # Held and fed, a network must move, though no gradient came; the order may say why not.
        still = held and not moved and (losses or network.get("fed"))
        told = any(
            f.code in ("zero-grad-too-late", "step-without-backward") for f in findings.found
        )
        if slopes or (still and not told):
            made = [event for event in events if event.name == "optimizer"]
            place = (made[0].file, made[0].line) if made else ("", 0)
            _check_moves(str(network.get("class"))[:80], slopes, held, moved, place, findings)
        whole = _check_loss(network, events, findings) and whole
    return whole


def _check_moves(
    name: str,
    slopes: set[str],
    held: set[str],
    moved: set[str],
    place: tuple[str, int],
    findings: Findings,
) -> None:
    """Parameters with gradients that no optimiser holds, or that its steps leave as they are."""
    left = sorted(slopes - held - moved)
    if slopes and not slopes & (held | moved):
        findings.add("optimiser-of-another-network", *place, name=name)
    elif left:
        them = "it" if len(left) == 1 else "them"
        findings.add(
            "optimiser-leaves-out", *place, tensors=", ".join(left[:8]), name=name, them=them
        )
    elif not moved:
        findings.add("weights-never-move", *place, name=name)


def _check_loss(network: dict[str, Any], events: list[_Event], findings: Findings) -> bool:
    """The loss by which a network is seen to be trained: the cross-entropy of its last logits.

    Returns:
        Whether it is known.
    """
    lessons = [kind for kind in network["lessons"] if kind != "first"]
    backward = next((n for n, event in enumerate(events) if event.name == "backward"), len(events))
    losses = [event for event in events[:backward] if event.name == "loss"][-1:]
    places = losses or events[backward : backward + 1]
    place = (places[0].file, places[0].line) if places else ("", 0)
    if "first" in network["lessons"]:
        findings.add("loss-of-the-first-step", *place)
    if not lessons or "cross-entropy" in lessons:
        return True
    known = [kind for kind in lessons if kind in _LOSS_CODES]
    names = [name for name in network["names"] if isinstance(name, str)]
    if known:
        findings.add(_LOSS_CODES[known[0]], *place)
    elif names and all(name in _OTHER_LOSSES for name in names):
        findings.add("loss-of-another-kind", *place, name=_OTHER_LOSSES[names[0]])
    else:
        findings.add("loss-unknown", *place)
        return bool(names) and {*names} <= {"cross_entropy", "nll_loss"}  # of what comes near it
    return True


_OTHER_LOSSES = {
    "binary_cross_entropy": "BCELoss",
    "binary_cross_entropy_with_logits": "BCEWithLogitsLoss",
    "gaussian_nll_loss": "GaussianNLLLoss",
    "hinge_embedding_loss": "HingeEmbeddingLoss",
    "huber_loss": "HuberLoss",
    "l1_loss": "L1Loss",
    "mse_loss": "MSELoss",
    "multi_margin_loss": "MultiMarginLoss",
    "multilabel_margin_loss": "MultiLabelMarginLoss",
    "multilabel_soft_margin_loss": "MultiLabelSoftMarginLoss",
    "poisson_nll_loss": "PoissonNLLLoss",
    "smooth_l1_loss": "SmoothL1Loss",
    "soft_margin_loss": "SoftMarginLoss",
}
"""Torch's functions for losses that are no cross-entropy over the classes, and their classes."""


_LOSS_CODES = {
    "minus cross-entropy": "loss-made-larger",
    "twice": "loss-of-probabilities",
    "likelihood": "loss-without-softmax",
    "squared": "loss-squared",
    "over the batch": "loss-over-the-batch",
}
"""What the child calls a loss that is not the cross-entropy, to the finding."""


def _is_news(network: dict[str, Any], trained: Trained) -> bool:
    """Whether no run before has built a network, or none has trained it and this one does."""
    kind = network["kind"]
    return kind not in trained.losses or bool(network["losses"] and not trained.losses_of(kind))


def _world(network: dict[str, Any]) -> World:
    """What a script builds a network with, and feeds it."""
    arguments, fed = _of_known_form(network.get("arguments")), network.get("fed")
    sizes = [size for size in fed if type(size) is int] if isinstance(fed, list) else []
    return World(
        arguments if isinstance(arguments, dict) else {},
        tuple(sizes) if all(0 < size < _LARGEST_SIZE for size in sizes) else (),
        "float64"
        if "float64" in (network.get("default_dtype"), network.get("dtype"))
        else "float32",
    )


_LARGEST_SIZE = 5000


def _of_known_form(value: Any, depth: int = 12) -> Any:
    """What a constructor is given, without what is too large or too deep to be built again."""
    if isinstance(value, dict) and depth:
        return {name: _of_known_form(item, depth - 1) for name, item in value.items()}
    if isinstance(value, list) and depth:
        return [_of_known_form(item, depth - 1) for item in value]
    if isinstance(value, (dict, list)) or (type(value) is int and abs(value) > 10**9):
        return None
    return value


def _networks(trace: dict[str, Any]) -> list[dict[str, Any]]:
    """The networks of a run, where what the child says of them has the right form."""
    listed = trace.get("networks")
    return [
        network
        for network in (listed if isinstance(listed, list) else [])
        if isinstance(network, dict)
        and network.get("kind") in ("rnn", "lstm")
        and all(isinstance(network.get(key), list) for key in _LISTS)
    ]


class _Event(NamedTuple):
    """Something that the script did."""

    name: str
    file: str
    line: int
    details: dict[str, Any]


def _check_order(events: list[_Event], findings: Findings) -> None:
    """The order of zero_grad, forward, backward, clip, step."""
    cycles: list[list[_Event]] = [[]]
    stepped: list[object] = []
    for event in events:
        optimizer = event.details.get("optimizer")
        if event.name == "step" and stepped and optimizer not in stepped:
            stepped.append(optimizer)  # one backward for the optimisers of two networks
            continue
        stepped = [optimizer] if event.name == "step" else []
        cycles[-1].append(event)
        if event.name == "step":
            cycles.append([])
    # What stands before the first step is set-up too; what follows the last is the next round.
    judged = [cycle for cycle in cycles[1:-1] if cycle] or cycles[:1]
    for cycle in judged:
        first = next((event for event in cycle if event.name == "backward"), None)
        zeroed = any(event.name == "zero_grad" for event in cycle)
        if first is not None and not zeroed and first.details.get("clean") is not True:
            findings.add("zero-grad-missing", cycle[-1].file, cycle[-1].line)
            break
    cycle = judged[-1]
    backwards, zeros, clips = (
        [i for i, event in enumerate(cycle) if event.name == name]
        for name in ("backward", "zero_grad", "clip")
    )
    step = cycle[-1]
    if not backwards:
        findings.add("step-without-backward")
        return
    backward = cycle[backwards[-1]]
    if zeros and zeros[-1] > backwards[-1]:
        late = cycle[zeros[-1]]
        findings.add("zero-grad-too-late", late.file, late.line)
    if not clips and backward.details.get("by_hand") is True:
        return  # so may the clipping be
    if not clips:
        findings.add("gradients-not-clipped")
    elif clips[-1] < backwards[-1]:
        clip = cycle[clips[-1]]
        after = clip.line > step.line or (
            clips[0] == 0 and clip.line >= min(backward.line, step.line)
        )
        code = "clipped-after-step" if after else "clipped-before-backward"
        findings.add(code, clip.file, clip.line)


def _check_optimizer(
    trace: dict[str, Any],
    networks: list[dict[str, Any]],
    events: list[_Event],
    findings: Findings,
) -> None:
    """RMSprop, as the sheet asks: of each network, or of the run where no network is known."""
    own = [network["optimizers"] for network in networks if network["optimizers"]]
    for names in own or [trace.get("optimizers", [])]:
        optimizers = [name[:40] for name in names if isinstance(name, str)]
        if optimizers and not any("RMS" in name.upper() for name in optimizers):
            made = [event for event in events if event.details.get("name") == optimizers[0]]
            place = (made[0].file, made[0].line) if made else ("", 0)
            findings.add("not-rmsprop", *place, name=optimizers[0])


def _check_text(script: Source, events: list[_Event], findings: Findings) -> None:
    """What the text of the script shows."""
    seeded = any(event.name == "seed" for event in events)
    if not seeded and not re.search(r"manual_seed|seed_everything|random\.seed", script.text):
        findings.add("no-seed")
    deprecated = re.search(r"\bclip_grad_norm\b(?!_)", script.text)
    if deprecated:
        line = line_at(script.text, deprecated.start())
        if not script.text.splitlines()[line - 1].lstrip().startswith("#"):
            findings.add("clip-deprecated", line=line)
    evaluates = r"no_grad|\.eval\(\)|valid|val_|test_(loader|data|set|acc)|evaluat|eval_|held"
    if re.search(r"acc", script.text, re.IGNORECASE) and not re.search(evaluates, script.text):
        findings.add("accuracy-of-the-training-batch")


def _check_error(trace: dict[str, Any], steps: int, findings: Findings) -> bool:
    """A script that stopped with an error; returns whether it got through without."""
    error = trace.get("script_error")
    if not isinstance(error, dict):
        if steps == 0 and trace.get("never_steps") is True:
            backward = next((e for e in _events(trace) if e.name == "backward"), None)
            findings.add("step-missing", *((backward.file, backward.line) if backward else ()))
        elif steps == 0:
            findings.add("script-takes-no-step")
        return True
    problem = ChildRefused(error)
    when = "before its first step" if steps == 0 else f"after {steps} of its steps"
    code = "script-stops"
    if problem.of_import and problem.cause == "own":
        found = problem.type == "ImportError"
        code = "script-cannot-import" if found else "script-module-not-found"
    elif problem.type in OWN_ERRORS or problem.cause in ("graph", "own"):
        code = "script-fails"
    findings.add(code, *problem.place, when=when, error=problem)
    return False


OWN_ERRORS = ("NameError", "UnboundLocalError", "SyntaxError", "IndentationError", "TabError")
"""Errors that a script makes on any computer."""


def _events(trace: dict[str, Any]) -> list[_Event]:
    """The events of a trace that have the right form."""
    events = trace.get("events")
    if not isinstance(events, list):
        return []
    return [
        _Event(str(event[0])[:40], str(event[1])[:200], event[2], event[3])
        for event in events
        if isinstance(event, list)
        and len(event) == 4
        and isinstance(event[2], int)
        and isinstance(event[3], dict)
    ]


def _runs(script: Source) -> list[_Run]:
    """How to call a script, on the CPU: for each network where its command line chooses one.

    The last runs are those with a switch the other way, of which any may choose the network.
    """
    options: list[str] = []
    places: list[str] = []
    switches: dict[str, list[str]] = {}
    model: tuple[list[str], dict[str | None, ast.expr]] | None = None
    for node in nodes_of(script.tree, ast.Call):
        names = [word.value for word in node.args if isinstance(word, ast.Constant)]
        if method_called(node) != "add_argument" or not names or not isinstance(names[-1], str):
            continue
        words = {word.arg: word.value for word in node.keywords}
        required = "required" in words and "True" in ast.dump(words["required"])
        name = names[-1]
        chooses = model is None and _says(words) and bool(_RNN_OR_LSTM.search(_says(words)))
        if name == "--device":
            options += ["--device", "cpu"]
        elif chooses:
            model = ([] if not name.startswith("-") else [name]), words
        elif not name.startswith("-"):
            places += [_option_value(name, words)] * _values_needed(words)
        elif required:
            options += [name, *[_option_value(name, words)] * max(1, _values_needed(words))]
        elif name.startswith("-") and (other := _other_way(name, words)):
            switches[name] = other
    option, words = model or ([], {})
    values = _networks_to_choose(script, words) if model else []
    runs = [_Run([*options, *option, value, *places], guessed) for value, guessed in values]
    runs = runs or _runs_by_place(script)
    likely = sorted(switches, key=lambda name: not _RNN_OR_LSTM.search(name))[:_MOST_SWITCHES]
    return (runs or [_Run([*options, *places])]) + [
        _Run([*options, *switches[name], *places], switched=True) for name in likely
    ]


_MOST_SWITCHES = 4


def _values_needed(words: dict[str | None, ast.expr]) -> int:
    """How many values an option wants at least."""
    match words.get("nargs"):
        case ast.Constant(value=int(number)):
            return number
        case ast.Constant(value="?" | "*"):
            return 0
    return 1


def _runs_by_place(script: Source) -> list[_Run]:
    """How to call a script that reads sys.argv itself: a number where it makes one of a word."""
    words: dict[int, ast.AST] = {}
    parents: dict[int, ast.AST] = {id(child): node for node in nodes_of(script.tree, ast.expr)
               for child in ast.iter_child_nodes(node)}  # fmt: skip
    uses = {node.args[0].id: node for node in nodes_of(script.tree, ast.Call)
            if node.args and isinstance(node.args[0], ast.Name)}  # fmt: skip
    for node in nodes_of(script.tree, ast.Subscript):
        if ast.unparse(node.value) in ("sys.argv", "argv"):
            match node.slice:
                case ast.Constant(value=int(place)) if place > 0:
                    words[place] = parents.get(id(node)) or node
    for line in nodes_of(script.tree, ast.Assign):
        start = {"sys.argv": 0, "sys.argv[1:]": 1}.get(ast.unparse(line.value))
        if start is not None and isinstance(line.targets[0], (ast.Tuple, ast.List)):
            for place, name in enumerate(line.targets[0].elts, start):
                words[place] = uses.get(ast.unparse(name), name)
    words.pop(0, None)
    if not words or max(words) > _MOST_WORDS:
        return []
    used = [words.get(place) for place in range(1, max(words) + 1)]
    kinds = [ast.unparse(node.func) if isinstance(node, ast.Call) else "" for node in used]
    numbers = {"int": "5", "float": "0.001"}
    networks = _networks_to_choose(script, {}) or [("RNN", True)]
    return [_Run([numbers.get(kind, value) for kind in kinds], guessed)
            for value, guessed in networks]  # fmt: skip


_MOST_WORDS = 9


def _other_way(name: str, words: dict[str | None, ast.expr]) -> list[str]:
    """The words that turn a boolean option the other way; none where it is no boolean one."""
    action = ast.unparse(words["action"]) if "action" in words else ""
    node = words.get("default")
    default = node.value if isinstance(node, ast.Constant) else None
    if re.search("store_(true|false)", action):
        return [name]
    if action.endswith("BooleanOptionalAction"):
        return [f"--no-{name.lstrip('-')}" if default else name]
    of_type = ast.unparse(words["type"]) if "type" in words else ""
    if of_type == "bool":  # bool("False") is True; only nothing is False
        return [name, "" if default else "True"]
    if isinstance(default, bool):
        return [name, str(not default)]
    if of_type == "int" and default in (0, 1) and _RNN_OR_LSTM.search(name):
        return [name, "0" if default else "1"]
    return []


_RNN_OR_LSTM = re.compile(r"rnn|lstm", re.IGNORECASE)


def _says(words: dict[str | None, ast.expr]) -> str:
    """The default and the choices of an option, where they are words."""
    nodes = [words[name] for name in ("default", "choices") if name in words]
    constants = [constant for node in nodes for constant in nodes_of(node, ast.Constant)]
    return " ".join(c.value for c in constants if isinstance(c.value, str))


def _networks_to_choose(
    script: Source, words: dict[str | None, ast.expr]
) -> list[tuple[str, bool]]:
    """The values of the option that chooses a network, each with whether it is guessed.

    Its default comes first.
    """
    says = _says(words).split()
    known = [c.value for c in nodes_of(script.tree, ast.Constant) if isinstance(c.value, str)]
    listed = says if "choices" in words else [*says, *known]
    found: dict[str, tuple[str, bool]] = {}
    for value in listed:
        kind = "lstm" if "lstm" in value.lower() else "rnn"
        if re.fullmatch(r"[\w-]{1,20}", value) and _RNN_OR_LSTM.search(value):
            found.setdefault(kind, (value, False))
    for kind, other in (("rnn", "lstm"), ("lstm", "rnn")):
        if kind in found and other not in found and "choices" not in words:
            upper = found[kind][0].isupper()
            found[other] = other.upper() if upper else other, True
    return list(found.values())


def _option_value(name: str, words: dict[str | None, ast.expr]) -> str:
    """A value for an option that must be given, by its choices, its type or its name."""
    choices = words.get("choices")
    if isinstance(choices, (ast.List, ast.Tuple)) and choices.elts:
        first = choices.elts[0]
        return str(first.value) if isinstance(first, ast.Constant) else ""
    kind = words.get("type")
    if isinstance(kind, ast.Name) and kind.id == "float":
        return "0.001"
    if isinstance(kind, ast.Name) and kind.id == "int":
        return {"inputs": "1", "classes": "10"}.get(role_of(name), "5")
    return {"device": "cpu"}.get(role_of(name), "RNN")
