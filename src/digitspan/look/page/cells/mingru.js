// The minimal GRU, whose gate and candidate see the digit alone (Feng and others 2024).

CELLS.mingru = {
  parameters: ["W_zx", "b_z", "W_hx", "b_h"],
  states: {
    hidden: {
      symbol: "h",
      equation: "h(t) = (1 − z(t)) ⊙ h(t−1) + z(t) ⊙ (W_hx x(t) + b_h)",
    },
  },
  gates: {
    z: {
      name: "update gate, 0: h stays",
      least: 0,
      equation: "z(t) = σ(W_zx x(t) + b_z)",
    },
  },

  step(w, x, { hidden: h }, { dot, plus, times, sigmoid, oneMinus, gate }) {
    const z = gate("z", sigmoid(plus(dot(w.W_zx, x), w.b_z)));
    const candidate = plus(dot(w.W_hx, x), w.b_h);
    h = plus(times(oneMinus(z), h), times(z, candidate));
    return { hidden: h };
  },
};
