"""Train one of the exercise sheet's two networks to predict the last digit of a palindrome.

    python -m part1.train --model_type LSTM --input_length 4

also works as `python part1/train.py` and, inside the folder part1, as `python train.py`.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import NamedTuple

import torch
from torch.utils.data import DataLoader

if __package__:  # python -m part1.train, or imported from a package
    from .dataset import PalindromeDataset, all_palindromes
    from .lstm import LSTM
    from .vanilla_rnn import VanillaRNN
else:  # python part1/train.py, python train.py: this folder is on the path
    from dataset import (  # type: ignore[no-redef, import-not-found]
        PalindromeDataset,
        all_palindromes,
    )
    from lstm import LSTM  # type: ignore[no-redef, import-not-found]
    from vanilla_rnn import VanillaRNN  # type: ignore[no-redef, import-not-found]

__all__ = ["TrainingResult", "main", "train"]

EVALUATE_EVERY = 50
"""Training steps between two evaluations."""

SOLVED_ACCURACY = 0.99
"""Converged: two evaluations in a row reach this share of right answers."""


class TrainingResult(NamedTuple):
    """How a training ended."""

    model: torch.nn.Module
    """The trained network."""
    converged: bool
    """Whether two evaluations in a row, 50 steps apart, were at 0.99 or above."""
    steps: int
    """Training steps done."""
    accuracy: float
    """Share of right answers in the final test, in [0, 1]."""
    num_tested: int
    """Palindromes in the final test."""


def accuracy(model: torch.nn.Module, inputs: torch.Tensor, targets: torch.Tensor) -> float:
    """The share of right answers, in [0, 1], for inputs (M, T - 1) and targets (M,)."""
    right = 0
    with torch.no_grad():
        for some_inputs, some_targets in zip(inputs.split(500), targets.split(500)):
            predictions = model(some_inputs).argmax(dim=1)
            right += int((predictions == some_targets).sum())
    return right / len(targets)


def palindromes_to_test(
    seq_length: int, count: int, seed: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """All palindromes of a length where there are few (T <= 8), else `count` random ones.

    Returns:
        The inputs, shape (M, T - 1), and the targets, shape (M,).
    """
    if seq_length <= 8:
        palindromes = torch.as_tensor(all_palindromes(seq_length).copy())
    else:
        dataset = PalindromeDataset(seq_length, seed=seed)
        palindromes = torch.stack(
            [torch.as_tensor(dataset.generate_palindrome()) for _ in range(count)]
        )
    palindromes = palindromes.to(device)
    return palindromes[:, :-1], palindromes[:, -1].long()


def train(config: argparse.Namespace) -> TrainingResult:
    """Train until convergence or for `config.train_steps`, then test, printing on the way.

    Args:
        config: the command line's options, as `main` reads them.
    """
    device = torch.device(config.device)
    torch.manual_seed(config.seed)

    seq_length = config.input_length + 1  # the last digit is the target
    network = {"RNN": VanillaRNN, "LSTM": LSTM}[config.model_type]
    model = network(
        seq_length,
        config.input_dim,
        config.num_hidden,
        config.num_classes,
        config.batch_size,
        device,
    )

    dataset = PalindromeDataset(seq_length, one_hot=config.input_dim == 10, seed=config.seed)
    data_loader = DataLoader(dataset, config.batch_size, num_workers=config.num_workers)
    # Other seeds than the training's: the same palindromes may come, the same sequence may not.
    validation = palindromes_to_test(seq_length, 500, config.seed + 2**32, device)
    test = palindromes_to_test(seq_length, 10_000, config.seed + 2**33, device)

    criterion = torch.nn.CrossEntropyLoss()  # equation (3), softmax included
    optimizer = torch.optim.RMSprop(model.parameters(), lr=config.learning_rate)

    evaluations = [0.0]
    converged = False
    start = time.perf_counter()
    for step, (batch_inputs, batch_targets) in enumerate(data_loader, start=1):
        optimizer.zero_grad()
        logits = model(batch_inputs.to(device))
        loss = criterion(logits, batch_targets.to(device))
        loss.backward()

        # What happens here and why? Where the norm of all gradients taken together is larger than
        # max_norm, they are scaled down to that norm: the direction stays, the step gets shorter.
        # Backpropagation through time multiplies one Jacobian a time step; where these stretch,
        # the product grows exponentially with T and a single batch could throw the weights far
        # away. So it has to stand between backward(), which makes the gradients, and step(),
        # which uses them. It does nothing against vanishing gradients.
        torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=config.max_norm)

        optimizer.step()

        if not torch.isfinite(loss):
            print(f"step {step}: the loss is {loss.item()}; try a smaller --learning_rate")
            break
        if step % EVALUATE_EVERY == 0 or step == config.train_steps:
            evaluations.append(accuracy(model, *validation))
            seconds = time.perf_counter() - start
            print(
                f"step {step:5d}/{config.train_steps}, {1e3 * seconds / step:.1f} ms a step, "
                f"loss {loss.item():.4f}, accuracy {evaluations[-1]:.3f}",
                flush=True,
            )
            converged = step % EVALUATE_EVERY == 0 and min(evaluations[-2:]) >= SOLVED_ACCURACY
        if converged or step == config.train_steps:
            break

    result = TrainingResult(model, converged, step, accuracy(model, *test), len(test[1]))
    which = "all" if seq_length <= 8 else "fresh random"
    print(
        f"{config.model_type} T={seq_length} seed={config.seed}: "
        f"{'converged' if converged else 'not converged'} after {step} steps, "
        f"accuracy {result.accuracy:.4f} on {which} {result.num_tested} palindromes "
        f"(some of them may have been trained on)"
    )
    return result


def read_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; an option out of range ends with one sentence and status 2."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--model_type", default="RNN", choices=["RNN", "LSTM"], help="default: RNN")
    add(
        "--input_length",
        type=int,
        default=10,
        help="digits read, T - 1: palindromes have one digit more (default: 10, so T = 11)",
    )
    add("--input_dim", type=int, default=1, help="1: digits as numbers, 10: one-hot (default: 1)")
    add("--num_classes", type=int, default=10, help="digits to choose from (default: 10)")
    add("--num_hidden", type=int, default=128, help="hidden units (default: 128)")
    add("--batch_size", type=int, default=128, help="palindromes a step (default: 128)")
    add("--learning_rate", type=float, default=0.001, help="of RMSprop (default: 0.001)")
    add("--train_steps", type=int, default=10_000, help="at the most (default: 10000)")
    add("--max_norm", type=float, default=10.0, help="clip gradients to it (default: 10.0)")
    add("--device", default="cpu", help="cpu, cuda or mps (default: cpu)")
    add("--seed", type=int, default=42, help="of weights and data (default: 42)")
    add("--num_workers", type=int, default=0, help="processes that load data (default: 0)")
    config = parser.parse_args(arguments)

    for name in ("input_length", "num_hidden", "batch_size", "train_steps"):
        if getattr(config, name) < 1:
            parser.error(f"--{name} must be at least 1, got {getattr(config, name)}")
    for name in ("seed", "num_workers"):
        if getattr(config, name) < 0:
            parser.error(f"--{name} must be 0 or greater, got {getattr(config, name)}")
    for name in ("learning_rate", "max_norm"):
        if not 0 < getattr(config, name) < float("inf"):
            parser.error(f"--{name} must be above 0 and finite, got {getattr(config, name)}")
    if config.input_dim not in (1, 10):
        parser.error(f"--input_dim must be 1 or 10 (one-hot), got {config.input_dim}")
    if config.num_classes < 10:
        parser.error(f"--num_classes must be at least 10, one a digit, got {config.num_classes}")
    try:
        torch.empty(0, device=config.device)
    except (RuntimeError, AssertionError) as error:
        first_line = (str(error).splitlines() or ["not known to torch"])[0]
        parser.error(f"--device {config.device} cannot be used here: {first_line}")
    return config


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and train."""
    try:
        train(read_options(arguments))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
