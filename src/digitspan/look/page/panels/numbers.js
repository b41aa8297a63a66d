// The same in numbers, for whoever cannot see the pictures or wants to copy them.

PANELS.push({
  id: "numbers",
  title: "In numbers",
  question: "",
  text: "What the pictures show, step by step.",
  recall: { text: "What the pictures show, step by step; – where nothing is asked." },

  build(section, app) {
    this.body = make("tbody");
    const heads = app.slots.flatMap((slot) => [
      `${slot.title} says`,
      `probability of the ${app.asks ? "right" : "first"} digit`,
      "‖∂L/∂h(t)‖",
      `distance after another ${app.asks ? "" : "first "}digit`,
    ]);
    const asked = app.asks ? ["asked"] : [];
    const columns = ["step", "digit", ...asked, ...heads].map((text) => make("th", { scope: "col" }, text));
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
      const asked = app.slots[0].trace.targets[t];
      const isSaid = !app.asks || asked !== NOT_ASKED;
      const right = app.asks ? asked : app.slots[0].trace.target;
      const cells = app.slots.flatMap((slot) => [
        isSaid ? sayDigit(slot.trace.predictions[t]) : "–",
        isSaid ? slot.trace.probabilities[t][right].toFixed(4) : "–",
        scientific(slot.trace.gradientNorms.hidden[t]),
        scientific(slot.distances[t]),
      ]);
      const step = make("th", { scope: "row" }, String(t + 1));
      const read = [sayDigit(digit), ...(app.asks ? [sayDigit(asked)] : [])];
      return make("tr", {}, step, ...[...read, ...cells].map((text) => make("td", {}, String(text))));
    });
    this.body.replaceChildren(...rows);
  },
});
