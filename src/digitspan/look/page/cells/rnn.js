// The vanilla recurrent network of the exercise sheet, equation (1).

CELLS.rnn = {
  parameters: ["W_hx", "W_hh", "b_h"],
  states: { hidden: { symbol: "h", equation: "(1)  h(t) = tanh(W_hx x(t) + W_hh h(t−1) + b_h)" } },
  gates: {},

  step(w, x, { hidden: h }, { dot, plus, tanh }) {
    h = tanh(plus(dot(w.W_hx, x), dot(w.W_hh, h), w.b_h)); //                   (1)
    return { hidden: h };
  },
};
