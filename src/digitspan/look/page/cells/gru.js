// The gated recurrent unit (Cho and others 2014, the reset gate behind the recurrent product).

CELLS.gru = {
  parameters: ["W_rx", "W_rh", "b_r", "W_zx", "W_zh", "b_z", "W_hx", "W_hh", "b_h"],
  states: {
    hidden: {
      symbol: "h",
      equation: "h(t) = z(t) ⊙ h(t−1) + (1 − z(t)) ⊙ tanh(W_hx x(t) + r(t) ⊙ (W_hh h(t−1)) + b_h)",
    },
  },
  gates: {
    r: {
      name: "reset gate",
      least: 0,
      equation: "r(t) = σ(W_rx x(t) + W_rh h(t−1) + b_r)",
    },
    z: {
      name: "update gate, 1: h stays",
      least: 0,
      equation: "z(t) = σ(W_zx x(t) + W_zh h(t−1) + b_z)",
    },
  },

  step(w, x, { hidden: h }, { dot, plus, times, tanh, sigmoid, oneMinus, gate }) {
    const r = gate("r", sigmoid(plus(dot(w.W_rx, x), dot(w.W_rh, h), w.b_r)));
    const z = gate("z", sigmoid(plus(dot(w.W_zx, x), dot(w.W_zh, h), w.b_z)));
    const candidate = tanh(plus(dot(w.W_hx, x), times(r, dot(w.W_hh, h)), w.b_h));
    h = plus(times(z, h), times(oneMinus(z), candidate));
    return { hidden: h };
  },
};
