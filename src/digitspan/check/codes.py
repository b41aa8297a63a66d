"""Every finding of the check: a stable code, its rule, how bad it is, and what a student reads.

Decisions use codes. The sentences can be reworded at will; words in braces are filled in.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["CODES", "Code"]


class Code(NamedTuple):
    """What a code stands for."""

    rule: str
    """The rule that switches it off, one of `course_rules.RULES`."""
    severity: str
    """"fault" or "remark"."""
    message: str
    """One sentence: where, what was expected, what was found."""


_FAULTS = {
    "absolute path": {
        "absolute-path": "The path {path} is absolute and exists on one computer only; expected "
        "paths relative to the hand-in.",
    },
    "archive": {
        "archive-refused": "The hand-in is not read: {reason}.",
        "zip-in-the-zip": "There is a ZIP inside the ZIP, with the code in it: expected the files "
        "themselves.",
    },
    "bias": {
        "bias-missing": "Equation {equation}: there is no bias, expected one number a {unit}.",
        "bias-along-the-batch": "Equation {equation}: the bias is added along the batch axis, one "
        "number a sample, expected one number a {unit}.",
        "bias-for-each-sample": "Equation {equation}: the bias has a column for each sample of "
        "the batch, expected one number a {unit} for all.",
        "bias-is-one-number": "Equation {equation}: the bias is a single number for all {units}, "
        "expected one number a {unit}.",
        "gate-without-bias": "Equation {equation}: {gate} has no bias, expected one number a "
        "unit.",
        "gates-share-bias": "Equations {equation} and {equation_2}: {gate} and {gate_2} use the "
        "same bias, expected each its own.",
        "one-bias-for-all-gates": "Equations (4) to (7): one gate's bias is used for all four "
        "gates.",
    },
    "cell state": {
        "previous-cell-state-unused": "Equation (8): the previous cell state c(t-1) is never "
        "used: c = g * i, expected g * i + c(t-1) * f.",
        "forget-gate-stands-alone": "Equation (8): the forget gate is added by itself: "
        "c = g * i + f, expected g * i + c(t-1) * f, so the previous cell state c(t-1) is never "
        "used.",
        "forget-gate-on-hidden-state": "Equation (8): the forget gate multiplies h(t-1), expected "
        "the previous cell state c(t-1): c(t-1) is never used.",
        "forget-gate-not-applied": "Equation (8): the forget gate is not applied: "
        "c = g * i + c(t-1), expected g * i + c(t-1) * f.",
        "forget-gate-added": "Equation (8): the forget gate is added instead of multiplied: "
        "c = g * i + c(t-1) + f, expected g * i + c(t-1) * f.",
        "input-gate-not-applied": "Equation (8): the input gate is not applied: "
        "c = g + c(t-1) * f, expected g * i + c(t-1) * f.",
        "input-gate-added": "Equation (8): the input gate is added instead of multiplied: "
        "c = g + i + c(t-1) * f, expected g * i + c(t-1) * f.",
        "input-gate-from-forget-gate": "Equation (8): 1 - f stands for the input gate: "
        "c = g * (1 - f) + c(t-1) * f, expected g * i + c(t-1) * f.",
        "previous-cell-state-multiplied": "Equation (8): the two parts are multiplied instead of "
        "added: expected g * i + c(t-1) * f.",
        "previous-cell-state-subtracted": "Equation (8): the previous cell state is subtracted: "
        "expected g * i + c(t-1) * f.",
        "candidate-unused": "Equation (8): the candidate never enters: c = c(t-1) * f, expected "
        "g * i + c(t-1) * f.",
    },
    "clip": {
        "clipped-after-step": "Gradients are clipped after step(), where it does nothing: "
        "expected backward(), then clipping, then step().",
        "clipped-before-backward": "Gradients are clipped before backward(), where it does "
        "nothing: expected backward(), then clipping, then step().",
    },
    "conflict": {
        "merge-conflict": "A merge conflict was left in the file: lines of <<<<<<< and >>>>>>>.",
    },
    "cuda": {
        "cuda-without-asking": "CUDA is asked for without asking whether there is any: on a "
        "computer without it the code stops; expected the device that the constructor is given, "
        "or torch.cuda.is_available().",
    },
    "equations": {
        "equations-not-computed": "The network has as many numbers as equations {equations} need, "
        "and computes something else with them, whatever their roles; no known fault fits, so "
        "look at each equation again.",
    },
    "figures": {
        "no-figure": "There is no figure in the PDF: the sheet asks for plots.",
        "figure-without-caption": "The figures in the PDF have no caption (Figure 1: ...).",
    },
    "gradient": {
        "backward-fails": "backward fails: {error}",
        "gradients-missing": "No gradient reaches {tensors}, though the answer depends on {them}: "
        "something is detached, taken by .data or .item(), or computed under no_grad; expected "
        "every parameter to be trained.",
        "gradients-cut": "The gradient of {tensors} is not the slope of the answer: it is cut on "
        "the way back through time (detach, .data), so it does not reach x(1); expected "
        "back-propagation through all steps.",
    },
    "hidden state": {
        "hidden-state-unused": "Equation {equation}: the previous hidden state h(t-1) is never "
        "used, so the network remembers nothing through it.",
        "gate-ignores-hidden-state": "Equation {equation}: {gate} does not read the previous "
        "hidden state h(t-1).",
        "gates-read-cell-state": "Equations (4) to (7): the gates read the cell state c(t-1), "
        "expected the hidden state h(t-1).",
        "recurrent-term-outside-tanh": "Equation (1): W_hh h(t-1) is added outside the tanh, "
        "expected inside it.",
        "bias-outside-tanh": "Equation (1): the bias b_h is added outside the tanh, expected "
        "inside it.",
        "input-term-outside-tanh": "Equation (1): W_hx x(t) is added outside the tanh, expected "
        "inside it.",
        "tanh-twice": "Equation (1): tanh is applied twice, expected once.",
        "terms-multiplied": "Equation (1): W_hx x(t) and W_hh h(t-1) are multiplied, expected "
        "added.",
    },
    "import": {
        "cannot-be-imported": "The file cannot be imported: {error}",
        "exits-when-imported": "no answer: the file ends the process when it is imported (exit); "
        "expected that importing it does no more than define its classes.",
        "module-not-found": "The file cannot be imported: {error}; it is neither in the hand-in "
        "nor a library that is known here.",
        "not-python": "{path} cannot be imported: {error}.",
        "wrong-encoding": "The file cannot be imported: {error}; expected UTF-8.",
        "script-cannot-import": "The training script stops {when}: {error}.",
        "script-module-not-found": "The training script stops {when}: {error}; it is neither in "
        "the hand-in nor a library that is known here.",
    },
    "initial state": {
        "state-starts-at-ones": "The initial state is filled with ones, expected zeros: h(0) = 0.",
        "state-not-at-zero": "There is {what} {state}(0) not at zero, expected zeros.",
        "state-never-set": "The initial state {state}(0) is never set: it holds whatever was in "
        "memory, expected zeros.",
        "state-kept-between-batches": "The state is kept from one batch to the next: the second "
        "call with the same digits gives another answer; expected h(0) = 0 at the start of every "
        "batch.",
        "unwritten-memory-read": "The answer depends on memory that was never written: a state or "
        "weight is made with torch.Tensor(...) or torch.empty(...) and not set to zero; expected "
        "h(0) = 0.",
        "answer-is-random": "The same weights and digits give another answer each time: the "
        "initial state is random, or there is dropout; expected h(0) = 0 and equations "
        "{equations} alone.",
    },
    "kind": {
        "rnn-is-an-lstm": "The class that stands for VanillaRNN is an LSTM inside: it computes "
        "equations (4) to (10), expected (1) and (2).",
        "lstm-is-an-rnn": "The class LSTM is a vanilla RNN inside: it computes equations (1) and "
        "(2), expected (4) to (10) with four gates and a cell state.",
    },
    "memory": {
        "tensors-pile-up": "Each call keeps more tensors than the one before, like a list that "
        "grows with every forward: a long training runs out of memory.",
    },
    "missing": {
        "class-missing": "There is no class {name}: expected it in part1/{path}, with a method "
        "forward.",
        "code-missing": "There is no .py file and no notebook in it.",
        "script-missing": "There is no training script: expected part1/train.py.",
    },
    "name": {
        "zip-name": "The ZIP is called {name}, expected Surname-Matriculation.zip.",
        "pdf-name": "The PDF is called {name}, expected Surname-Matriculation.pdf.",
    },
    "no answer": {
        "timeout": "timeout: the code does not finish in time.",
        "out-of-memory": "out of memory: the code asks for more than it may have.",
        "too-much-output": "too much output: the code prints or writes more than it may.",
        "no-answer": "no answer: the code ended the process instead of answering.",
    },
    "no_grad": {
        "fails-under-no-grad": "The network does not run under torch.no_grad(), as for testing: "
        "{error}",
    },
    "non-linearity": {
        "wrong-gate-activation": "{gates}.",
        "wrong-cell-activation": "Equation (9): c goes through {found}, expected tanh.",
    },
    "optimiser": {
        "not-rmsprop": "The optimiser is {name}, expected RMSprop, as the sheet asks.",
    },
    "order": {
        "digits-read-backwards": "The digits are read backwards, the last one first, expected "
        "x(1) first.",
        "samples-and-steps-mixed": "The axes are exchanged with view or reshape instead of "
        "transposed: samples and time steps are mixed up.",
        "samples-mixed": "The answer to one sample depends on the other samples of the batch: "
        "their axes are mixed up; expected each row to be computed alone.",
        "step-without-backward": "step() is called without backward(): the weights never change.",
    },
    "output gate": {
        "output-gate-added": "Equation (9): the output gate is added instead of multiplied: "
        "h = tanh(c) + o, expected tanh(c) * o.",
        "output-gate-added-inside-tanh": "Equation (9): the output gate stands inside the tanh, "
        "added: h = tanh(c + o), expected tanh(c) * o.",
        "output-gate-inside-tanh": "Equation (9): the output gate stands inside the tanh: "
        "h = tanh(c * o), expected tanh(c) * o.",
        "output-gate-not-applied": "Equation (9): the output gate is not applied: h = tanh(c), "
        "expected tanh(c) * o.",
        "output-gate-subtracted": "Equation (9): the output gate is subtracted: h = tanh(c) - o, "
        "expected tanh(c) * o.",
        "cell-state-unused": "Equation (9): the cell state is not used: h = o, expected "
        "tanh(c) * o.",
    },
    "parameter": {
        "asks-for-no-gradient": "{tensor} asks for no gradient (requires_grad=False), so it is "
        "never trained; expected torch.nn.Parameter.",
        "not-a-parameter": "{tensor} is not a Parameter of the module, so it is never trained; "
        "expected torch.nn.Parameter.",
    },
    "pdf": {
        "pdf-missing": "There is no PDF: expected the report, Surname-Matriculation.pdf.",
        "pdf-damaged": "The PDF cannot be read: {error}.",
        "pdf-without-text": "The PDF has hardly any text in it: a scan cannot be searched or "
        "copied.",
    },
    "questions": {
        "question-unanswered": "The number of {questions} does not occur in the PDF: expected an "
        "answer to each.",
    },
    "read-out": {
        "read-out-width": "Equation {equation}: the read-out gives {width} numbers a sample, "
        "expected one a class, {classes}.",
        "read-out-source": "Equation {equation}: the logits are made from {source}, expected the "
        "last h.",
        "read-out-activation": "Equation {equation}: the answer goes through {found}, expected "
        "logits as they are.",
    },
    "reading": {
        "no-digit-read": "No digit is read: the answer never depends on the input.",
        "one-digit-read": "Only the {which} digit is read: the network remembers nothing over "
        "time, expected all T - 1 digits to matter.",
        "last-digit-unread": "The last digit is never read: the loop over time stops one step "
        "early, expected all T - 1 digits.",
        "first-digit-unread": "The first digit is never read: the loop over time starts one step "
        "late, expected all T - 1 digits.",
        "some-digits-unread": "Not all digits are read: x({unread}) never matters.",
    },
    "ready-made": {
        "ready-made-layer": "torch.nn.{layer} (or its functional twin) is used; the sheet asks "
        "for your own matrix products.",
        "ready-made-layer-called": "The network uses torch.nn.{layer} or its functional twin when "
        "it runs; the sheet asks for your own matrix products.",
    },
    "result": {
        "several-results": "forward returns several things instead of one tensor: expected the "
        "logits alone, shape (B, K), which is what the loss takes.",
    },
    "runs": {
        "cannot-be-constructed": "{name} cannot be constructed{reason}",
        "cannot-be-fed": "{name} does not run on a batch of digits, in any layout{reason}",
        "fails-on-some-digits": "The network runs on some digits and fails on others: {error}",
        "second-call-fails": "The second call fails: {error}",
        "not-a-module": "{name} is not a torch.nn.Module, so it has no parameters to train.",
        "script-fails": "The training script stops {when}: {error}",
        "script-not-python": "{path} cannot be run: {error}.",
        "script-wrong-encoding": "{path} cannot be run: {error}; expected UTF-8.",
    },
    "softmax": {
        "softmax-in-forward": "forward returns softmax(p), and the cross-entropy loss applies "
        "softmax again; expected the logits p of equation {equation}.",
        "softmax-over-the-batch": "{function} is taken over the batch (dim=0): each class sums to "
        "1 over the samples; expected logits, or at least one distribution a sample.",
    },
    "start": {
        "gate-starts-at-zero": "All weights of {gate} start at zero, input and recurrent: it "
        "begins without reading anything; expected small random values.",
    },
    "template": {
        "class-not-filled-in": "{name} was never filled in: forward is still the template's, and "
        "computes nothing.",
        "script-not-filled-in": "The training script was never filled in: it never calls "
        "backward(), so nothing is trained.",
    },
    "weights": {
        "gates-share-weights": "Equations {equation} and {equation_2}: {gate} and {gate_2} use "
        "the same {weights}, expected each its own.",
    },
    "zero_grad": {
        "zero-grad-missing": "zero_grad() is never called: the gradients of all batches add up; "
        "expected it once a step, before backward().",
        "zero-grad-too-late": "zero_grad() stands between backward() and step(): it erases the "
        "gradients that step() needs.",
    },
}

_REMARKS = {
    "accuracy": {
        "accuracy-of-the-training-batch": "The accuracy is that of the batch that was just "
        "trained on; accuracy on fresh palindromes would say more.",
    },
    "caches": {
        "caches-handed-in": "{count} files are caches or system files, and do not belong in a "
        "hand-in.",
    },
    "clip": {
        "clip-deprecated": "clip_grad_norm is deprecated, and gone from newer PyTorch: the name "
        "is clip_grad_norm_.",
        "gradients-not-clipped": "Gradients are not clipped: the template clips their norm "
        "between backward() and step().",
    },
    "cuda": {
        "script-cuda-without-asking": "CUDA is asked for without asking whether there is any: on "
        "a computer without it the script stops.",
    },
    "equations": {
        "equations-unknown": "No assignment of its {count} numbers to equations {equations} fits, "
        "and no known fault either: a person has to look.",
        "network-too-large": "The network has {count} numbers even at the smallest sizes, too "
        "many to find out what each is for: a person has to look.",
    },
    "import": {
        "other-framework": "It is written for {library}; only PyTorch can be checked.",
        "stops-when-imported": "The file does not run as a whole when it is imported ({error}); "
        "its class alone was checked.",
        "trains-when-imported": "The file trains as soon as it is imported: expected "
        'if __name__ == "__main__" around it; its classes alone were checked.',
    },
    "initial state": {
        "state-learned": "The initial state {state}(0) is learned; it starts at zero.",
        "state-reset-by-the-script": "The state is kept from one batch to the next until {reset} "
        "is called or set, as the training script does for every batch.",
    },
    "missing": {
        "dataset-missing": "The course's dataset.py is not in the hand-in; one like it was put in "
        "its place.",
    },
    "no answer": {
        "check-broke": "The check itself broke on this hand-in ({error}); a person has to look.",
    },
    "pdf": {
        "pdf-not-looked-at": "What is in the PDF was not looked at: pypdf is not installed here.",
        "pdf-too-long": "The PDF has more than 300 pages.",
    },
    "print": {
        "prints": "forward prints something at every call.",
    },
    "reading": {
        "digits-looked-up": "The digits are looked up in {table}, a table of numbers, before they "
        "enter the equations; the sheet feeds the digits themselves.",
    },
    "result": {
        "more-than-the-logits": "forward returns more than the last step's logits, or their axes "
        "exchanged; expected shape (B, K).",
    },
    "runs": {
        "only-where-batch-equals-hidden": "The class only runs where the batch size equals the "
        "number of hidden units: the axes of a state or a bias are exchanged, or both sizes are "
        "written into the code.",
        "script-could-not-be-run": "The training script could not be run: {error}.",
        "script-lost": "The training script did not get through {steps} steps: {reason}.",
        "script-stops": "The training script stops {when}: {error}",
        "script-takes-no-step": "The training script took no step of an optimiser here.",
    },
    "seed": {
        "no-seed": "No seed is set: the numbers of the report cannot be reproduced.",
    },
    "softmax": {
        "log-softmax-in-forward": "forward returns log_softmax(p): harmless, as its softmax is "
        "the same; the loss that goes with it is NLLLoss.",
        "softmax-undone-by-the-script": "forward returns softmax(p); the training script takes "
        "care of it.",
    },
    "start": {
        "start-value-missing": "{tensors} never given a start value: whatever was in memory is "
        "used.",
    },
    "step interface": {
        "one-step-a-call": "forward takes one step a call; the loop over time is outside.",
    },
    "unused": {
        "parameter-unused": "The parameter {tensor} is never used.",
    },
}

CODES = {
    code: Code(rule, severity, message)
    for severity, rules in (("fault", _FAULTS), ("remark", _REMARKS))
    for rule, codes in rules.items()
    for code, message in codes.items()
}
"""Every code with what it stands for."""
