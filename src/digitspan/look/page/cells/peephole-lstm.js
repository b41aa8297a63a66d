// The LSTM whose gates see the cell state (Gers and Schmidhuber 2000).

CELLS["peephole-lstm"] = {
  parameters: [
    "W_gx", "W_gh", "b_g",
    "W_ix", "W_ih", "p_i", "b_i",
    "W_fx", "W_fh", "p_f", "b_f",
    "W_ox", "W_oh", "p_o", "b_o",
  ],
  states: {
    hidden: { symbol: "h", equation: "h(t) = tanh(c(t)) ⊙ o(t)" },
    cell: { symbol: "c", equation: "c(t) = g(t) ⊙ i(t) + c(t−1) ⊙ f(t)" },
  },
  gates: {
    g: { name: "candidate", least: -1, equation: "g(t) = tanh(W_gx x(t) + W_gh h(t−1) + b_g)" },
    i: {
      name: "input gate",
      least: 0,
      equation: "i(t) = σ(W_ix x(t) + W_ih h(t−1) + p_i ⊙ c(t−1) + b_i)",
    },
    f: {
      name: "forget gate",
      least: 0,
      equation: "f(t) = σ(W_fx x(t) + W_fh h(t−1) + p_f ⊙ c(t−1) + b_f)",
    },
    o: {
      name: "output gate",
      least: 0,
      equation: "o(t) = σ(W_ox x(t) + W_oh h(t−1) + p_o ⊙ c(t) + b_o)",
    },
  },

  step(w, x, { hidden: h, cell: c }, { dot, plus, times, tanh, sigmoid, gate }) {
    const g = gate("g", tanh(plus(dot(w.W_gx, x), dot(w.W_gh, h), w.b_g)));
    const i = gate("i", sigmoid(plus(dot(w.W_ix, x), dot(w.W_ih, h), times(w.p_i, c), w.b_i)));
    const f = gate("f", sigmoid(plus(dot(w.W_fx, x), dot(w.W_fh, h), times(w.p_f, c), w.b_f)));
    c = plus(times(g, i), times(c, f));
    const o = gate("o", sigmoid(plus(dot(w.W_ox, x), dot(w.W_oh, h), times(w.p_o, c), w.b_o)));
    h = times(tanh(c), o);
    return { hidden: h, cell: c };
  },
};
