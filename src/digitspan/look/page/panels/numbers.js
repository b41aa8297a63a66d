// The same in numbers, for whoever cannot see the pictures or wants to copy them.

PANELS.push({
  id: "numbers",
  title: "In numbers",
  question: "",
  text: "What the pictures show, step by step.",

  build(section, app) {
    this.body = make("tbody");
    const heads = app.slots.flatMap((slot) => [
      `${slot.title} says`,
      "probability of the first digit",
      "‖∂L/∂h(t)‖",
      "distance after another first digit",
    ]);
    const columns = ["step", "digit", ...heads].map((text) => make("th", { scope: "col" }, text));
    const caption = make("caption", { class: "hidden" }, "Every step in numbers");
    const head = make("thead", {}, make("tr", {}, ...columns));
    const attributes = { class: "scroll", tabindex: 0, role: "region" };
    const scroll = make("div", { ...attributes, "aria-label": "Table of numbers" });
    scroll.append(make("table", {}, caption, head, this.body));
    const summary = make("summary", {}, "Show the table");
    this.details = make("details", { ontoggle: () => this.draw(app) }, summary, scroll);
    section.append(this.details);
  },

  draw(app) {
    if (!this.details.open) return; // thousands of cells, and nobody looks
    const rows = app.digits.map((digit, t) => {
      const cells = app.slots.flatMap((slot) => [
        sayDigit(slot.trace.predictions[t]),
        slot.trace.probabilities[t][slot.trace.target].toFixed(4),
        scientific(slot.trace.gradientNorms.hidden[t]),
        scientific(slot.distances[t]),
      ]);
      const step = make("th", { scope: "row" }, String(t + 1));
      return make("tr", {}, step, ...[digit, ...cells].map((text) => make("td", {}, String(text))));
    });
    this.body.replaceChildren(...rows);
  },
});
