"""Question 1.1 as code: back-propagation through time, derived by hand, term by term.

Nothing here uses automatic differentiation. It is written to be read beside the sheet, not to be
fast: `digitspan.training.fused` is the fast form, and both are tested equal to autograd. The
notebook of a hand-in shows and runs `rnn_backward` as it stands here.

Notation: the digits x(1) ... x(S) are read, S = T - 1, and the loss (3) looks at the last step
alone. A row of a tensor is one palindrome of the batch, and the loss is the mean over the batch,
so dL/dp below carries a factor 1/B. `d_x` stands for dL/dx.

The vanilla RNN, with the pre-activation a(t) = W_hx x(t) + W_hh h(t-1) + b_h, so that (1) is
h(t) = tanh(a(t)):

The read-out. Cross-entropy (3) after softmax has the gradient d_p = y-hat - y. p = W_ph h(S) + b_p
(2) is linear, so

    dL/dW_ph = (y-hat - y) h(S)^T                   (A)   one term: no sum over time
    dL/dh(S) = W_ph^T (y-hat - y)

The step. tanh' = 1 - tanh^2, so h(t) depends on h(t-1) through the Jacobian

    J(t) = dh(t)/dh(t-1) = diag(1 - h(t)^2) W_hh

and by the chain rule, one factor per step,

    dL/dh(t) = J(t+1)^T J(t+2)^T ... J(S)^T dL/dh(S)      (B)   the product of Jacobians

The recurrent weights. W_hh is used at every step, so its gradient is a sum over all of them, each
term with the part of the loss's gradient that reaches its step:

    d_a(t)   = dL/dh(t) * (1 - h(t)^2)
    dL/dW_hh = sum over t of d_a(t) h(t-1)^T              (C)   the sum over time steps
    dL/dW_hx = sum over t of d_a(t) x(t)^T                (D)
    dL/db_h  = sum over t of d_a(t)

So dL/dW_ph needs the last state alone, dL/dW_hh all of the past. In its terms the product has
S - t factors: where these shrink (largest singular value below 1) the terms of early steps vanish
exponentially and what was read there cannot be learned; where they stretch (spectral radius above
1) the terms can explode.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from digitspan.part1.lstm import LSTM
from digitspan.part1.vanilla_rnn import VanillaRNN

__all__ = ["LSTMBackward", "RNNBackward", "lstm_backward", "rnn_backward"]


class RNNBackward(NamedTuple):
    """What comes back through a vanilla RNN; dL/dW by the parameter's name, with its shape."""

    loss: torch.Tensor
    """L, equation (3), mean over the batch, shape ()."""
    W_hx: torch.Tensor
    W_hh: torch.Tensor
    b_h: torch.Tensor
    W_ph: torch.Tensor
    b_p: torch.Tensor
    h: torch.Tensor
    """h(t) for t = 0 ... S, shape (S + 1, B, N)."""
    d_h: torch.Tensor
    """dL/dh(t) for t = 1 ... S, shape (S, B, N)."""
    gradient_norms: torch.Tensor
    """||dL/dh(t)|| of the whole batch for t = 1 ... S, shape (S,)."""
    terms: torch.Tensor
    """The terms d_a(t)^T h(t-1) whose sum over t is dL/dW_hh, shape (S, N, N)."""


class LSTMBackward(NamedTuple):
    """What comes back through an LSTM; dL/dW by the parameter's name, with its shape.

    For each gate a of g, i, f, o: W_ax is the sum over t of d_a(t)^T x(t), shape (N, D); W_ah that
    of d_a(t)^T h(t-1), shape (N, N); b_a that of d_a(t), shape (N,).
    """

    loss: torch.Tensor
    """L, equation (3), mean over the batch, shape ()."""
    W_gx: torch.Tensor
    W_gh: torch.Tensor
    b_g: torch.Tensor
    W_ix: torch.Tensor
    W_ih: torch.Tensor
    b_i: torch.Tensor
    W_fx: torch.Tensor
    W_fh: torch.Tensor
    b_f: torch.Tensor
    W_ox: torch.Tensor
    W_oh: torch.Tensor
    b_o: torch.Tensor
    W_ph: torch.Tensor
    b_p: torch.Tensor
    d_h: torch.Tensor
    """dL/dh(t) for t = 1 ... S: all that reaches h(t), shape (S, B, N)."""
    d_c: torch.Tensor
    """dL/dc(t) for t = 1 ... S, shape (S, B, N)."""
    gradient_norms: torch.Tensor
    """||dL/dh(t)|| of the whole batch for t = 1 ... S, shape (S,)."""
    cell_gradient_norms: torch.Tensor
    """||dL/dc(t)|| of the whole batch for t = 1 ... S, shape (S,)."""
    terms: torch.Tensor
    """The terms of the sums for W_gh, W_ih, W_fh, W_oh, in this order, shape (S, 4, N, N)."""


@torch.no_grad()
def rnn_backward(network: VanillaRNN, inputs: torch.Tensor, targets: torch.Tensor) -> RNNBackward:
    """The gradients of the vanilla RNN, (A) to (D), without automatic differentiation.

    Args:
        network: the network, with n = N units.
        inputs: encoded digits x(1) ... x(S), shape (B, S, D), S >= 1.
        targets: the digit to predict, shape (B,), int64.
    """
    states = [network.initial_state(len(inputs))]
    for x in inputs.unbind(dim=1):
        states.append(network.step(x, states[-1]))  # (1)
    h = [state.hidden for state in states]  # h(0) ... h(S), (B, N) each
    p = network.read_out(states[-1])  # (2)
    y = torch.eye(p.shape[1]).to(p)[targets]  # (B, K)
    loss = -(y * torch.log_softmax(p, dim=1)).sum(dim=1).mean()  # (3)

    d_p = (torch.softmax(p, dim=1) - y) / len(targets)  # (y-hat - y) / B
    d_h = d_p @ network.W_ph  # dL/dh(S), (B, N)
    reaching, d_pre, terms = [], [], []
    for t in range(inputs.shape[1], 0, -1):
        d_a = d_h * (1 - h[t] ** 2)  # d_a(t), (B, N)
        reaching.append(d_h)
        d_pre.append(d_a)
        terms.append(d_a.T @ h[t - 1])  # a term of (C), (N, N)
        d_h = d_a @ network.W_hh  # dL/dh(t-1) = J(t)^T dL/dh(t), (B)

    d_a, d_h = torch.stack(d_pre[::-1]), torch.stack(reaching[::-1])  # (S, B, N) each
    return RNNBackward(
        loss,
        W_hx=torch.einsum("tbn,btd->nd", d_a, inputs),  # (D)
        W_hh=torch.stack(terms).sum(dim=0),  # (C)
        b_h=d_a.sum(dim=(0, 1)),
        W_ph=d_p.T @ h[-1],  # (A)
        b_p=d_p.sum(dim=0),
        h=torch.stack(h),
        d_h=d_h,
        gradient_norms=d_h.flatten(1).norm(dim=1),
        terms=torch.stack(terms[::-1]),
    )


@torch.no_grad()
def lstm_backward(network: LSTM, inputs: torch.Tensor, targets: torch.Tensor) -> LSTMBackward:
    """The gradients of the LSTM, derived by hand from equations (3) to (10).

    The read-out (10) is that of the RNN: d_p = y-hat - y and dL/dh(S) = W_ph^T d_p. Through a step
    the equations are gone back in reverse order, with sigma' = sigma (1 - sigma) and
    tanh' = 1 - tanh^2; * is element by element:

        (9)  h = tanh(c) * o           d_c(t) = d_h(t) * o * (1 - tanh(c)^2)
                                                + d_c(t+1) * f(t+1)          from the step after
                                       d_o = d_h * tanh(c) * o (1 - o)
        (8)  c = g * i + c(t-1) * f    d_g = d_c * i * (1 - g^2)
                                       d_i = d_c * g * i (1 - i)
                                       d_f = d_c * c(t-1) * f (1 - f)
        (4)-(7)                        d_h(t-1) = W_gh^T d_g + W_ih^T d_i + W_fh^T d_f + W_oh^T d_o

    where d_g ... d_o belong to the gates' pre-activations. Every weight matrix is used at every
    step, so its gradient is a sum over time: dL/dW_fh = sum over t of d_f(t) h(t-1)^T, and so on.

    The difference to the RNN stands in the line of d_c: from c(t) to c(t-1) the gradient is only
    multiplied by f, with no matrix and no tanh' between. Where the forget gate is near 1, the
    product of these factors over many steps stays near 1 too.

    Args:
        network: the network, with n = N units.
        inputs: encoded digits x(1) ... x(S), shape (B, S, D), S >= 1.
        targets: the digit to predict, shape (B,), int64.
    """
    states = [network.initial_state(len(inputs))]  # h, c at 0 ... S
    for x in inputs.unbind(dim=1):
        states.append(network.step(x, states[-1]))  # (4) to (9)
    p = network.read_out(states[-1])  # (10)
    y = torch.eye(p.shape[1]).to(p)[targets]  # (B, K)
    loss = -(y * torch.log_softmax(p, dim=1)).sum(dim=1).mean()  # (3)

    d_p = (torch.softmax(p, dim=1) - y) / len(targets)  # (y-hat - y) / B
    d_h = d_p @ network.W_ph  # dL/dh(S), (B, N)
    d_c_later = torch.zeros_like(d_h)  # d_c(t+1) * f(t+1)
    reaching, cell_reaching, d_gates, terms = [], [], [], []
    for t in range(inputs.shape[1], 0, -1):
        before = states[t - 1]
        g, i, f, o = network.gates(inputs[:, t - 1], before).values()  # (B, N) each
        tanh_c = torch.tanh(states[t].cell)
        d_c = d_h * o * (1 - tanh_c**2) + d_c_later  # through (9)
        d_o = d_h * tanh_c * o * (1 - o)  # through (9), (7)
        d_g = d_c * i * (1 - g**2)  # through (8), (4)
        d_i = d_c * g * i * (1 - i)  # through (8), (5)
        d_f = d_c * before.cell * f * (1 - f)  # through (8), (6)
        reaching.append(d_h)
        cell_reaching.append(d_c)
        d_gates.append(torch.stack([d_g, d_i, d_f, d_o]))  # (4, B, N)
        terms.append(d_gates[-1].mT @ before.hidden)  # (4, N, N)
        d_c_later = d_c * f  # through (8), c to c
        d_h = d_g @ network.W_gh + d_i @ network.W_ih  # through (4), (5)
        d_h = d_h + d_f @ network.W_fh + d_o @ network.W_oh  # and (6), (7): dL/dh(t-1)

    d_a = torch.stack(d_gates[::-1])  # (S, 4, B, N)
    W_ax = torch.einsum("tgbn,btd->gnd", d_a, inputs)  # (4, N, D)
    W_ah = torch.stack(terms).sum(dim=0)  # (4, N, N)
    b_a = d_a.sum(dim=(0, 2))  # (4, N)
    by_gate = [tensor for gate in zip(W_ax, W_ah, b_a, strict=True) for tensor in gate]
    read_out = [d_p.T @ states[-1].hidden, d_p.sum(dim=0)]
    d_h, d_c = torch.stack(reaching[::-1]), torch.stack(cell_reaching[::-1])  # (S, B, N) each
    norms = [d_h.flatten(1).norm(dim=1), d_c.flatten(1).norm(dim=1)]
    return LSTMBackward._make(
        [loss, *by_gate, *read_out, d_h, d_c, *norms, torch.stack(terms[::-1])]
    )
