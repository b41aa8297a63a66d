// The equations of leaky.py once more, for the page that `digitspan look` writes.

CELLS["leaky:LeakyRNN"] = {
  states: {
    hidden: { symbol: "h", equation: "h(t) = ½ h(t−1) + ½ tanh(W_hx x(t) + W_hh h(t−1) + b_h)" },
  },
  gates: {},

  step(w, x, { hidden: h }, { dot, plus, scale, tanh }) {
    const a = plus(dot(w["W_hx.weight"], x), dot(w["W_hh.weight"], h), w["W_hx.bias"]);
    h = plus(scale(0.5, h), scale(0.5, tanh(a)));
    return { hidden: h };
  },

  readOut(w, { hidden: h }, { dot, plus }) {
    return plus(dot(w["W_ph.weight"], h), w["W_ph.bias"]);
  },
};
