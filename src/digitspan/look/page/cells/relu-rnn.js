// The vanilla recurrent network with ReLU in place of tanh (Le, Jaitly and Hinton 2015).

CELLS["relu-rnn"] = {
  parameters: ["W_hx", "W_hh", "b_h"],
  states: {
    hidden: { symbol: "h", equation: "h(t) = max(0, W_hx x(t) + W_hh h(t−1) + b_h)" },
  },
  gates: {},

  step(w, x, { hidden: h }, { dot, plus, relu }) {
    h = relu(plus(dot(w.W_hx, x), dot(w.W_hh, h), w.b_h));
    return { hidden: h };
  },
};
