// The long short-term memory network of the exercise sheet, equations (4) to (9).

CELLS.lstm = {
  parameters: [
    "W_gx", "W_gh", "b_g",
    "W_ix", "W_ih", "b_i",
    "W_fx", "W_fh", "b_f",
    "W_ox", "W_oh", "b_o",
  ],
  states: {
    hidden: { symbol: "h", equation: "(9)  h(t) = tanh(c(t)) ⊙ o(t)" },
    cell: { symbol: "c", equation: "(8)  c(t) = g(t) ⊙ i(t) + c(t−1) ⊙ f(t)" },
  },
  gates: {
    g: { name: "candidate", least: -1, equation: "(4)  g(t) = tanh(W_gx x(t) + W_gh h(t−1) + b_g)" },
    i: { name: "input gate", least: 0, equation: "(5)  i(t) = σ(W_ix x(t) + W_ih h(t−1) + b_i)" },
    f: { name: "forget gate", least: 0, equation: "(6)  f(t) = σ(W_fx x(t) + W_fh h(t−1) + b_f)" },
    o: { name: "output gate", least: 0, equation: "(7)  o(t) = σ(W_ox x(t) + W_oh h(t−1) + b_o)" },
  },

  // `gate` lets the page see a gate, and clamp it.
  step(w, x, { hidden: h, cell: c }, { dot, plus, times, tanh, sigmoid, gate }) {
    const g = gate("g", tanh(plus(dot(w.W_gx, x), dot(w.W_gh, h), w.b_g))); //     (4)
    const i = gate("i", sigmoid(plus(dot(w.W_ix, x), dot(w.W_ih, h), w.b_i))); //  (5)
    const f = gate("f", sigmoid(plus(dot(w.W_fx, x), dot(w.W_fh, h), w.b_f))); //  (6)
    const o = gate("o", sigmoid(plus(dot(w.W_ox, x), dot(w.W_oh, h), w.b_o))); //  (7)
    c = plus(times(g, i), times(c, f)); //                                         (8)
    h = times(tanh(c), o); //                                                      (9)
    return { hidden: h, cell: c };
  },
};
