"""The fast form is the readable form: gradients, trajectories, alone or with seven neighbours."""

import dataclasses
import itertools

import pytest
import torch
from cases import CASES
from hypothesis import example, given, settings
from hypothesis import strategies as st

from digitspan.cells.sheet import rnn
from digitspan.errors import UsageError
from digitspan.runs.config import OPTIMIZERS, RunConfig
from digitspan.tasks.palindrome import draw_training, held_out
from digitspan.tasks.questions import Questions, encode
from digitspan.training.engine import Trainer, answer_in_pieces, build_network, load_network
from digitspan.training.engine import TrainerGroup as Group
from digitspan.training.fused import Packed, differentiate, fused_form
from digitspan.training.run import train, train_together
from digitspan.training.trial import try_cell

CELLS = ("rnn", "lstm", "gru")
"""Cells on which all optimisers are tried; these see one row of numbers, whatever the cell."""

OTHERS = ("relu-rnn", "peephole-lstm", "mingru")
"""The further cells that have a fast form."""

SAME = 1e-10
"""Twenty training steps in float64 that differ in the order of sums alone agree to it, relative to
each parameter's largest entry: the same sums in another order move them by less than a thousandth
of it, a learning rate that is wrong by 0.1 % moves them by more than a thousand times it
(`test_tolerance_is_between_rounding_and_the_smallest_fault` says both). Not at a rate of 0.1,
where training itself makes 1e-6 of rounding."""

ENCODINGS = ("one-hot", "scalar")
SMALL = {"length": 9, "hidden_size": 12, "batch_size": 6}

GRU_MODULE = """
import torch

class WholeModule(torch.nn.Module):
    def __init__(self, input_size, hidden_size, num_classes):
        super().__init__()
        self.gru = torch.nn.GRU(input_size, hidden_size, batch_first=True)
        self.linear = torch.nn.Linear(hidden_size, num_classes)

    def forward(self, inputs):
        return self.linear(self.gru(inputs)[0][:, -1])
"""


def batches_of(config, steps):
    """The batches of a run's first training steps."""
    generator = torch.Generator().manual_seed(config.seed)
    return [draw_training(config.length, config.batch_size, generator) for _ in range(steps)]


def readable_optimizer(config, parameters):
    """Torch's own."""
    rate = config.learning_rate
    return {
        "rmsprop": lambda: torch.optim.RMSprop(parameters, lr=rate),
        "adam": lambda: torch.optim.Adam(parameters, lr=rate),
        "sgd": lambda: torch.optim.SGD(parameters, lr=rate),
        "momentum": lambda: torch.optim.SGD(parameters, lr=rate, momentum=0.9),
        "adamw": lambda: torch.optim.AdamW(parameters, lr=rate),
    }[config.optimizer]()


def train_readable(config, batches):
    """The network of part1 after some steps by autograd and torch.optim, and its losses."""
    network = build_network(config).double()
    names = ["W_ph", "b_p"] if config.trained == "read-out" else dict(network.named_parameters())
    parameters = [network.get_parameter(name) for name in names]
    optimizer, seen = readable_optimizer(config, parameters), []
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.train_steps)
    for questions in batches:
        network.zero_grad()
        logits = network(encode(questions.inputs, config.input_size, torch.float64))
        loss = torch.nn.functional.cross_entropy(logits, questions.targets)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters, config.max_grad_norm)
        optimizer.step()
        if config.schedule == "cosine":
            schedule.step()
        seen.append((loss.item(), norm.item()))
    return network, seen


def differences(network, other):
    """By parameter, the largest one relative to the other's largest entry."""
    theirs = dict(other.named_parameters())
    return {
        name: ((ours - theirs[name]).abs().max() / theirs[name].abs().max()).item()
        for name, ours in network.named_parameters()
    }


def assert_same_weights(network, other, tolerance):
    """Every parameter, relative to its largest entry."""
    for name, error in differences(network, other).items():
        assert error <= tolerance, f"{name} differs by {error:.1e} of its largest entry"


def trained(config, batches):
    """The network of a run after a training step in float64 on each batch."""
    trainer = Trainer(config, dtype=torch.float64)
    for questions in batches:
        trainer.step(questions)
    return trainer.network


@pytest.mark.parametrize("cell", [*CELLS, *OTHERS])
@pytest.mark.parametrize("input_size", [1, 10])
@settings(max_examples=15)
@given(
    networks=st.integers(1, 4),
    batch_size=st.integers(1, 7),
    length=st.integers(2, 30),
    hidden_size=st.integers(1, 20),
    gain=st.floats(0.01, 2.0),
    seed=st.integers(0, 2**31),
)
@example(networks=4, batch_size=1, length=2, hidden_size=1, gain=1.0, seed=0)
def test_fast_gradients_equal_autograd(
    cell, input_size, networks, batch_size, length, hidden_size, gain, seed
):
    generator = torch.Generator().manual_seed(seed)
    sizes = {"input_size": input_size, "hidden_size": hidden_size, "num_classes": 10}
    readable = [CASES[cell].make(**sizes).double() for _ in range(networks)]
    for parameter in itertools.chain(*(network.parameters() for network in readable)):
        parameter.data.normal_(0, gain / hidden_size**0.5, generator=generator)
    digits = torch.randint(
        10, (networks, batch_size, length - 1), generator=generator, dtype=torch.uint8
    )
    targets = torch.randint(10, (networks, batch_size), generator=generator)

    form = fused_form(readable[0])
    with torch.no_grad():
        rows = [Packed.of(network, form.sizes).flat for network in readable]
        weights = Packed(torch.cat(rows), form.sizes)
        gradient = Packed(torch.full_like(weights.flat, torch.nan), form.sizes)
        unrolled = form.unroll(digits.shape, weights.flat)
        for _ in range(2):  # the second time the buffers are not new
            losses = differentiate(unrolled, weights, gradient, digits, targets)

    for row, network in enumerate(readable):
        logits = network(encode(digits[row], input_size, torch.float64))
        loss = torch.nn.functional.cross_entropy(logits, targets[row])
        loss.backward()
        assert losses[row].item() == pytest.approx(loss.item(), rel=1e-10)
        largest = max(parameter.grad.abs().max() for parameter in network.parameters())
        for name, ours in gradient.named(row).items():
            theirs = network.get_parameter(name).grad
            error = (ours - theirs).abs().max()
            # Where a state is saturated its gradient has the factor 1 - tanh^2, of which the last
            # bit of tanh, other in another layout, can be much: in the explicit example the LSTM's
            # W_gx is off by 1.3e-16 where it is 4e-8 itself and the network's largest gradient
            # 0.97, the RNN's W_hx by 2.2e-15, a digit of up to 9 times that bit.
            allowed = 1e-10 * theirs.abs().max() + 1e-13 * largest
            assert error <= allowed, f"{name} differs by {error:.1e}, {allowed:.1e} is allowed"


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("max_grad_norm", [10.0, 0.05])
def test_fast_trajectory_equals_the_readable_one(cell, encoding, optimizer, max_grad_norm):
    config = RunConfig(
        cell=cell, encoding=encoding, optimizer=optimizer, max_grad_norm=max_grad_norm, **SMALL
    )
    batches = batches_of(config, 20)
    trainer = Trainer(config, dtype=torch.float64)
    results = [trainer.step(questions) for questions in batches]
    readable, seen = train_readable(config, batches)
    assert_same_weights(trainer.network, readable, SAME)
    for ours, theirs in zip(results, seen, strict=True):
        assert tuple(ours) == pytest.approx(theirs, rel=SAME)
    assert any(norm > 0.05 for _, norm in seen), "nothing was clipped"


@pytest.mark.parametrize("cell", OTHERS)
def test_fast_trajectory_of_the_other_cells_equals_the_readable_one(cell):
    config = RunConfig(cell=cell, optimizer="adamw", **SMALL)
    assert fused_form(build_network(config)) is not None
    batches = batches_of(config, 20)
    trainer = Trainer(config, dtype=torch.float64)
    results = [trainer.step(questions) for questions in batches]
    readable, seen = train_readable(config, batches)
    assert_same_weights(trainer.network, readable, SAME)
    for ours, theirs in zip(results, seen, strict=True):
        assert tuple(ours) == pytest.approx(theirs, rel=SAME)


@pytest.mark.parametrize("cell", [*CELLS, "gru"])
@pytest.mark.parametrize("optimizer", ["adamw", "momentum"])
def test_the_rate_falls_to_zero_over_the_budget_as_torchs_schedule_has_it(cell, optimizer):
    config = RunConfig(
        cell=cell,
        optimizer=optimizer,
        schedule="cosine",
        learning_rate=0.01,
        train_steps=20,
        **SMALL,
    )
    batches = batches_of(config, 20)
    trainer = Trainer(config, dtype=torch.float64)
    middle = Trainer(config, dtype=torch.float64)
    for done, questions in enumerate(batches):
        if done == 9:
            middle.load_state_dict(trainer.state_dict())  # the steps done are part of the state
        trainer.step(questions)
        if done >= 9:
            middle.step(questions)
    readable, _ = train_readable(config, batches)
    assert_same_weights(trainer.network, readable, SAME)
    assert_same_weights(middle.network, readable, SAME)
    constant = Trainer(dataclasses.replace(config, schedule="constant"), dtype=torch.float64)
    for questions in batches:
        constant.step(questions)
    off = max((constant.network.get_parameter(name) - parameter).abs().max()
              for name, parameter in readable.named_parameters())  # fmt: skip
    assert off > 1e-4


@pytest.mark.parametrize("cell", CELLS)
def test_read_out_control_trains_the_read_out_alone(cell):
    config = RunConfig(cell=cell, trained="read-out", **SMALL)
    batches = batches_of(config, 20)
    trainer, start = Trainer(config, dtype=torch.float64), build_network(config).double()
    results = [trainer.step(questions) for questions in batches]
    readable, seen = train_readable(config, batches)
    assert_same_weights(trainer.network, readable, SAME)
    assert results[-1].grad_norm == pytest.approx(seen[-1][1], rel=SAME)
    for name, before in start.named_parameters():
        same = torch.equal(before, trainer.network.get_parameter(name))
        assert same == (name not in ("W_ph", "b_p")), name


@pytest.mark.parametrize(
    ("cell", "trained"),
    [
        ("own_cells:LastLayer", {"out.weight", "out.bias"}),
        ("own_cells:TiedStep", {"out.bias"}),  # its matrix is the step's too
    ],
)
def test_read_out_control_of_a_cell_of_ones_own_trains_what_the_state_does_not_use(cell, trained):
    config = RunConfig(cell=cell, trained="read-out", **SMALL)
    trainer, start = Trainer(config), build_network(config)
    for questions in batches_of(config, 3):
        trainer.step(questions)
    moved = {
        name
        for name, before in start.named_parameters()
        if not torch.equal(before, trainer.network.get_parameter(name))
    }
    assert moved == trained


def test_read_out_control_is_refused_where_no_read_out_shows():
    config = RunConfig(cell="own_cells:ScaledLast", trained="read-out", **SMALL)
    with pytest.raises(UsageError, match="does not show which of its parameters are the read-out"):
        try_cell(config)
    try_cell(dataclasses.replace(config, trained="all"))
    try_cell(dataclasses.replace(config, trained="none"))


def test_guessing_control_draws_networks_of_ones_own():
    config = RunConfig(
        cell="own_cells:LastLayer", trained="none", length=5, hidden_size=6, batch_size=8,
        train_steps=200,
    )  # fmt: skip
    finished = train(config)
    assert finished.record.end_state == "censored"
    accuracies = [point.validation_accuracy for point in finished.record.curve]
    assert accuracies == sorted(accuracies)
    assert finished.record.loss > 1


def neighbours(cell):
    """Eight runs that differ in all that runs of a group may differ in."""
    starts = ("uniform", "chrono" if cell == "mingru" else "orthogonal")
    return [
        RunConfig(
            cell=cell,
            seed=seed,
            learning_rate=10 ** -(2 + seed / 2),
            initialisation=starts[seed % 2],
            max_grad_norm=0.55,  # clips some of them, in some steps
            **SMALL,
        )
        for seed in range(8)
    ]


@pytest.mark.parametrize("cell", [*CELLS, *OTHERS])
def test_network_with_seven_neighbours_equals_the_one_trained_alone(cell):
    configs = neighbours(cell)
    batches = [batches_of(config, 20) for config in configs]
    together = [Trainer(config, dtype=torch.float64) for config in configs]
    group, results = Group(together), []
    for step in range(20):
        if step == 10:  # the first and the last one have ended and leave
            group = Group(together[1:-1])
        members = batches if step < 10 else batches[1:-1]
        results.append(group.step([own[step] for own in members]))
    clipped = [result.grad_norm > 0.55 for step in results for result in step]
    assert 0.05 < sum(clipped) / len(clipped) < 0.95

    for index, config in enumerate(configs):
        steps = 10 if index in (0, 7) else 20
        alone = Trainer(config, dtype=torch.float64)
        seen = [alone.step(questions) for questions in batches[index][:steps]]
        assert_same_weights(together[index].network, alone.network, SAME)
        assert tuple(results[0][index]) == pytest.approx(tuple(seen[0]), rel=SAME)
        inputs = batches[index][0].inputs
        # Logits are sums of N = 12 hidden units, each moved by all the weights before it.
        torch.testing.assert_close(
            together[index].logits(inputs), alone.logits(inputs), rtol=0, atol=100 * SAME
        )
    answers = group.logits(batches[0][0].inputs)
    for trainer, logits in zip(together[1:-1], answers, strict=True):
        torch.testing.assert_close(
            logits, trainer.logits(batches[0][0].inputs), rtol=0, atol=100 * SAME
        )


def shuffled(batches, seed):
    """The same batches with their rows in another order: the same sums, rounded otherwise."""
    generator = torch.Generator().manual_seed(seed)
    orders = [torch.randperm(len(batch.targets), generator=generator) for batch in batches]
    return [
        Questions(batch.inputs[order], batch.targets[order])
        for batch, order in zip(batches, orders, strict=True)
    ]


def largest_difference(network, other):
    """Over all parameters."""
    return max(differences(network, other).values())


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("max_grad_norm", [10.0, 0.05])
def test_tolerance_is_between_rounding_and_the_smallest_fault(cell, optimizer, max_grad_norm):
    config = RunConfig(cell=cell, optimizer=optimizer, max_grad_norm=max_grad_norm, **SMALL)
    batches = batches_of(config, 20)
    network = trained(config, batches)
    rounded = [
        largest_difference(trained(config, shuffled(batches, k)), network) for k in range(5)
    ]
    assert max(rounded) < SAME / 1_000
    faster = dataclasses.replace(config, learning_rate=1.001 * config.learning_rate)
    assert largest_difference(trained(faster, batches), network) > 1_000 * SAME
    one_batch_twice = trained(config, [*batches[:-1], batches[0]])
    assert largest_difference(one_batch_twice, network) > 1_000 * SAME


@pytest.mark.parametrize("cell", CELLS)
def test_networks_of_a_group_are_told_apart_by_the_tolerance(cell):
    """Rounding stays below it at every rate of the group, which reaches further up."""
    for config in neighbours(cell):
        batches = batches_of(config, 20)
        first, second = trained(config, batches), trained(config, shuffled(batches, 0))
        assert largest_difference(first, second) < SAME / 100, config.run_id


@pytest.mark.parametrize("cell", CELLS)
def test_one_network_that_diverges_does_not_touch_the_others(cell):
    configs = [RunConfig(cell=cell, seed=seed, **SMALL) for seed in range(3)]
    trainers = [Trainer(config, dtype=torch.float64) for config in configs]
    batches = [batches_of(config, 5) for config in configs]
    with torch.no_grad():
        trainers[1].network.W_ph.fill_(torch.nan)
    group = Group(trainers)
    for step in range(5):
        group.step([own[step] for own in batches])
    for index in (0, 2):
        alone = Trainer(configs[index], dtype=torch.float64)
        for questions in batches[index]:
            alone.step(questions)
        assert_same_weights(trainers[index].network, alone.network, SAME)


def test_group_refuses_networks_of_different_shape():
    trainers = [Trainer(RunConfig(cell="rnn", length=length)) for length in (5, 6)]
    with pytest.raises(UsageError, match=r"must have one length; got \[5, 6\]"):
        Group(trainers)


def test_whole_module_is_trained_by_autograd_alone_and_in_a_group(tmp_path, monkeypatch):
    (tmp_path / "grus.py").write_text(GRU_MODULE)
    monkeypatch.chdir(tmp_path)
    configs = [RunConfig(cell="grus:WholeModule", seed=seed, **SMALL) for seed in range(2)]
    batches = [batches_of(config, 3) for config in configs]
    trainers = [Trainer(config, dtype=torch.float64) for config in configs]
    group = Group(trainers)
    for step in range(3):
        group.step([own[step] for own in batches])
    for config, own, trainer in zip(configs, batches, trainers, strict=True):
        readable, _ = train_readable(config, own)
        assert_same_weights(trainer.network, readable, SAME)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_goes_on_from_its_state_as_if_never_interrupted(cell, optimizer):
    config = RunConfig(cell=cell, optimizer=optimizer, **SMALL)
    batches = batches_of(config, 10)
    straight, first, second = (Trainer(config) for _ in range(3))
    for questions in batches:
        straight.step(questions)
    for questions in batches[:5]:
        first.step(questions)
    state = first.state_dict()
    first.step(batches[5])  # the state is a copy: what comes later does not touch it
    second.load_state_dict(state)
    for questions in batches[5:]:
        second.step(questions)
    for name, weights in straight.network.state_dict().items():
        assert torch.equal(weights, second.network.state_dict()[name]), name


@pytest.mark.parametrize("cell", [*CELLS, *OTHERS])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_answers_are_those_of_the_readable_network(cell, encoding):
    config = RunConfig(cell=cell, encoding=encoding, length=50, hidden_size=12)
    trainer = Trainer(config, dtype=torch.float64)
    inputs = draw_training(50, 1_030, torch.Generator().manual_seed(0)).inputs
    readable = trainer.network(encode(inputs, config.input_size, torch.float64))
    torch.testing.assert_close(trainer.logits(inputs), readable.detach())


@pytest.mark.parametrize("cell", [*CELLS, *OTHERS])
@pytest.mark.parametrize("pieces", [1, 7, 16, 33, 100])
def test_long_string_may_be_cut_anywhere(cell, pieces):
    config = RunConfig(cell=cell, length=100, hidden_size=12)
    networks = [build_network(dataclasses.replace(config, seed=k)).double() for k in range(3)]
    inputs = draw_training(100, 5, torch.Generator().manual_seed(0)).inputs
    answers = answer_in_pieces(networks, inputs.split(pieces, dim=1), config.input_size)
    encoded = encode(inputs, config.input_size, torch.float64)
    readable = [network(encoded).detach() for network in networks]
    torch.testing.assert_close(answers, torch.stack(readable))


def test_long_string_is_read_by_a_network_of_any_class_with_step():
    class OwnRNN(type(rnn(input_size=10, hidden_size=4, num_classes=10))):
        """Not the sheet's own class: it has no fast form."""

    network = OwnRNN(0, 10, 4, 10).double()
    inputs = torch.randint(10, (3, 20), generator=torch.Generator().manual_seed(0))
    answers = answer_in_pieces([network], inputs.split(6, dim=1), 10)
    torch.testing.assert_close(answers[0], network(encode(inputs, 10, torch.float64)).detach())


def test_network_of_a_trainer_shows_the_trained_weights():
    trainer = Trainer(RunConfig(cell="lstm", **SMALL))
    before = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    trainer.step(batches_of(trainer.config, 1)[0])
    for name, value in trainer.network.state_dict().items():
        assert not torch.equal(before[name], value), name


def test_float32_stays_close_to_float64():
    """Rounding grows with the steps; five of them keep five digits."""
    config = RunConfig(cell="lstm", optimizer="sgd", **SMALL)
    single, double = Trainer(config), Trainer(config, dtype=torch.float64)
    for questions in batches_of(config, 5):
        ours, theirs = single.step(questions), double.step(questions)
        assert ours.loss == pytest.approx(theirs.loss, rel=1e-5)


def test_same_configuration_gives_the_same_bits():
    config = RunConfig(cell="lstm", **SMALL)
    first, second = Trainer(config), Trainer(config)
    for questions in batches_of(config, 5):
        assert first.step(questions) == second.step(questions)


@pytest.mark.parametrize("cell", CELLS)
def test_runs_trained_together_end_as_alone(cell):
    """In float32, where rounding may move a loss's fifth digit, on a task soon learned."""
    configs = [
        RunConfig(
            cell=cell, length=4, hidden_size=32, seed=seed, learning_rate=rate, train_steps=700
        )
        for seed, rate in enumerate([3e-3, 1e-2, 1e-6])
    ]
    points = []
    together = train_together(configs, on_evaluation=lambda *seen: points.append(seen))
    assert {config.seed for config, _ in points} == {0, 1, 2}
    for config, ours in zip(configs, together, strict=True):
        alone = train(config).record
        assert ours.record.end_state == alone.end_state
        assert ours.record.accuracy == pytest.approx(alone.accuracy, abs=0.01)
        assert ours.record.curve[0] == pytest.approx(alone.curve[0], rel=1e-3)
        assert len(load_network(config, ours.weights).W_ph) == 10
    assert [finished.record.solved for finished in together] == [True, True, False]


def test_guessing_keeps_the_best_start_and_can_be_resumed(tmp_path):
    config = RunConfig(cell="rnn", trained="none", length=4, hidden_size=8, train_steps=1_030)
    whole = train(config)
    record = whole.record
    assert (record.end_state, record.steps, len(record.curve)) == ("censored", 1_030, 21)
    accuracies = [point.validation_accuracy for point in record.curve]
    assert accuracies == sorted(accuracies)

    questions = held_out(4, "validation").questions
    guesses = [build_network(config, guess=guess) for guess in range(21)]
    right = [float((network(questions.inputs).argmax(1) == questions.targets).double().mean())
             for network in guesses]  # fmt: skip
    assert accuracies == pytest.approx(list(itertools.accumulate(right, max)))
    kept, best = load_network(config, whole.weights), guesses[right.index(max(right))]
    assert torch.equal(kept.W_hh, best.W_hh)

    def interrupt(point):
        if point.step == 500:
            raise KeyboardInterrupt

    checkpoint = tmp_path / "guess.ckpt"
    with pytest.raises(KeyboardInterrupt):
        train(config, checkpoint=checkpoint, on_evaluation=interrupt)
    resumed = train(config, checkpoint=checkpoint)
    assert (resumed.record, resumed.weights) == (record, whole.weights)


@pytest.mark.parametrize("cell", CELLS)
def test_interrupted_and_resumed_run_is_identical(cell, tmp_path):
    config = RunConfig(cell=cell, length=6, hidden_size=16, train_steps=200)
    whole = train(config)

    def interrupt(point):
        if point.step == 100:
            raise KeyboardInterrupt

    checkpoint = tmp_path / "run.ckpt"
    with pytest.raises(KeyboardInterrupt):
        train(config, checkpoint=checkpoint, on_evaluation=interrupt)
    resumed = train(config, checkpoint=checkpoint)
    assert (resumed.record, resumed.weights) == (whole.record, whole.weights)


def test_guesses_of_one_run_differ_and_are_fixed():
    config = RunConfig(cell="rnn", trained="none", **SMALL)
    starts = [build_network(config, guess=guess).W_hh for guess in (0, 1, 2, 1)]
    assert torch.equal(starts[1], starts[3])
    assert not any(torch.equal(a, b) for a, b in itertools.pairwise(starts))
    trained = dataclasses.replace(config, trained="all")
    assert torch.equal(build_network(trained).W_hh, starts[0])


def test_questions_may_be_of_any_integer_type():
    config = RunConfig(cell="rnn", **SMALL)
    first, second = Trainer(config), Trainer(config)
    (questions,) = batches_of(config, 1)
    assert first.step(questions) == second.step(
        Questions(questions.inputs.long(), questions.targets)
    )
