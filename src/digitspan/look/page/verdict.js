// A card for each network: its answer, how sure it is, and ten bars at the step in hand.

/** @param {App} app */
function buildVerdicts(app) {
  const cards = app.slots.map((slot) => {
    const said = make("b", { class: "said" });
    const sentence = make("p", { class: "sentence", role: "status" });
    const bars = make("div", { class: "ten", role: "img" });
    for (let digit = 0; digit < 10; digit++)
      bars.append(make("span", {}, make("i"), make("em", {}, String(digit))));
    const after = make("p", { class: "after" });
    const { network } = slot;
    const card = make(
      "article",
      { class: `card ${slot.letter}` },
      make("h2", {}, swatch(slot), slot.title),
      make("div", { class: "answer" }, said, sentence),
      make("div", { class: "distribution" }, bars, after),
      make("p", { class: "facts" }, network.summary, " ", make("code", {}, network.name)),
    );
    const remark = (title, text) =>
      card.append(make("p", { class: "facts" }, make("b", {}, title), text));
    if (!agrees(network)) {
      const text = `The equations of ${network.cell} in JavaScript answer otherwise than PyTorch.`;
      remark("Do not trust this page. ", text);
    }
    if (network.why) remark("Why it was not solved. ", network.why);
    return { card, said, sentence, bars, after };
  });
  const look = { class: `columns columns-${app.slots.length}`, id: "verdicts" };
  return { element: make("div", look, ...cards.map(({ card }) => card)), cards };
}

/**
 * @param {ReturnType<typeof buildVerdicts>} verdicts
 * @param {App} app
 */
function drawVerdicts({ cards }, app) {
  app.slots.forEach(({ trace }, k) => {
    const { said, sentence, bars, after, card } = cards[k];
    const answer = trace.predictions.at(-1);
    const right = answer === trace.target;
    card.classList.toggle("right", right);
    card.classList.toggle("wrong", !right);
    said.textContent = sayDigit(answer);
    sentence.textContent = describeAnswer(trace);
    const row = trace.probabilities[app.step];
    [...bars.children].forEach((bar, digit) => {
      bar.firstChild.style.height = `${Math.max(2, 100 * row[digit])}%`;
      bar.classList.toggle("target", digit === trace.target);
    });
    const first = trace.predictions[app.step];
    const step = app.step + 1;
    after.textContent = `after step ${step}: ${first < 0 ? "no numbers" : `${first}, ${percent(row[first])}`}`;
    const all = Array.from(row, (p, digit) => `${digit} ${percent(p)}`);
    bars.setAttribute("aria-label", `After step ${step}: ${all.join(", ")}`);
  });
}
