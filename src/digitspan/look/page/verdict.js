// A card for each network: its answer, how sure it is, and ten bars at the step in hand.

/** @param {App} app */
function buildVerdicts(app) {
  const cards = app.slots.map((slot, k) => {
    const said = make("b", { class: "said" });
    const sentence = make("p", { class: "sentence", role: "status" });
    const bars = make("div", { class: "ten", role: "img" });
    for (let digit = 0; digit < 10; digit++)
      bars.append(make("span", {}, make("i"), make("em", {}, String(digit))));
    const after = make("p", { class: "after" });
    const places = make("ol", { class: "places", hidden: !app.asks });
    const facts = make("p", { class: "facts" });
    const way = wayThrough(app, k);
    const { network } = slot;
    const card = make(
      "article",
      { class: `card ${slot.letter}` },
      make("h2", {}, swatch(slot), slot.title),
      ...chooser(app, k),
      make("div", { class: "answer" }, said, sentence),
      make("div", { class: "distribution" }, bars, after),
      places,
      ...way.elements,
      facts,
    );
    const remark = (title, text) =>
      card.append(make("p", { class: "facts" }, make("b", {}, title), text));
    if (!agrees(network)) {
      const text = `The equations of ${network.cell} in JavaScript answer otherwise than PyTorch.`;
      remark("Do not trust this page. ", text);
    }
    if (network.why) remark("Why it was not solved. ", network.why);
    return { card, said, sentence, bars, after, places, facts, way };
  });
  const look = { class: `columns columns-${app.slots.length}`, id: "verdicts" };
  return { element: make("div", look, ...cards.map(({ card }) => card)), cards };
}

/**
 * @param {ReturnType<typeof buildVerdicts>} verdicts
 * @param {App} app
 */
function drawVerdicts({ cards }, app) {
  app.slots.forEach((slot, k) => {
    const { trace, network } = slot;
    const { said, sentence, bars, after, card, places, facts, way } = cards[k];
    way.draw();
    facts.replaceChildren(network.summary, " ", make("code", {}, network.name));
    const { asks } = app;
    const found = asks ? saidOfPlaces(asks, trace) : [];
    const answer = trace.predictions.at(-1);
    const right = asks ? found.every((place) => place.right) : answer === trace.target;
    card.classList.toggle("right", right);
    card.classList.toggle("wrong", !right);
    said.textContent = asks
      ? `${found.filter((place) => place.right).length}/${found.length}`
      : sayDigit(answer);
    said.classList.toggle("share", asks !== null);
    sentence.textContent = asks ? describeSaid(asks, trace) : describeAnswer(slot);
    const names = ["place", "read", "said"].map((name) => make("small", {}, name));
    const boxes = found.map((place) => placeBox(place, app));
    places.replaceChildren(make("li", { class: "names", "aria-hidden": "true" }, ...names), ...boxes);
    const row = trace.probabilities[app.step];
    const target = asks ? trace.targets[app.step] : trace.target;
    [...bars.children].forEach((bar, digit) => {
      bar.firstChild.style.height = `${Math.max(2, 100 * row[digit])}%`;
      bar.classList.toggle("target", digit === target);
    });
    const first = trace.predictions[app.step];
    const step = app.step + 1;
    after.textContent = `after step ${step}: ${first < 0 ? "no numbers" : `${first}, ${percent(row[first])}`}`;
    const all = Array.from(row, (p, digit) => `${digit} ${percent(p)}`);
    bars.setAttribute("aria-label", `After step ${step}: ${all.join(", ")}`);
  });
}

/** Which of the page's networks is looked into, where there are several. @param {App} app */
function chooser(app, k) {
  const { network } = app.slots[k];
  const alike = app.networks.filter((other) => app.slotOf(other) === k);
  if (app.isLive || alike.length < 2) return [];
  const name = (other) => (other.cell === network.cell ? "" : `${other.title}, `);
  const options = alike.map((other) =>
    make("option", { value: other.index }, `${name(other)}${other.label}`),
  );
  const select = make("select", {
    id: `network-${app.slots[k].letter}`,
    "aria-label": `Which ${network.title}`,
    onchange: () => app.load(Number(select.value)),
  });
  select.append(...options);
  select.value = String(network.index);
  return [make("p", { class: "which" }, select)];
}

/** A slider over the training of a network, where weights on its way were kept. @param {App} app */
function wayThrough(app, k) {
  const slot = app.slots[k];
  const { snapshots } = slot.network;
  if (snapshots.length === 0) return { elements: [], draw: () => {} };
  const id = `way-${slot.letter}`;
  const slider = make("input", {
    id,
    type: "range",
    min: 0,
    max: snapshots.length - 1,
    step: 1,
    oninput: () => app.lookAt(k, Number(slider.value)),
  });
  const output = make("output", { for: id });
  const draw = () => {
    slider.value = String(slot.snapshot);
    output.textContent = wordsOfSnapshot(slot);
    slider.setAttribute("aria-valuetext", output.textContent);
  };
  const label = make("label", { for: id }, "On its way through training");
  return { elements: [make("p", { class: "controls way" }, label, slider, output)], draw };
}

/** How far the weights on show are trained. @param {Slot} slot */
function wordsOfSnapshot({ network, snapshot }) {
  const { step } = network.snapshots[snapshot];
  if (step === 0) return "untrained";
  const of = `${step.toLocaleString("en")} of ${network.steps.toLocaleString("en")} steps`;
  return step === network.steps ? `after all ${step.toLocaleString("en")} steps` : `after ${of}`;
}

/**
 * A place of the list: the digit read, and below it the one said, framed where it is right.
 * Pressing it takes the step in hand in which it is said.
 */
function placeBox({ place, step, digit, said, right }, app) {
  const look = {
    class: `place ${right ? "right" : "wrong"}`,
    "aria-pressed": step === app.step,
    "aria-label": `Place ${place + 1}: ${digit} was read, ${sayDigit(said)} is said, ${right ? "right" : "wrong"}`,
    onclick: () => app.pick(step),
  };
  const name = make("small", {}, `x${subscript(place + 1)}`);
  const box = button(look, name, make("span", {}, digit), make("b", {}, sayDigit(said)));
  return make("li", {}, box);
}
