// Screens on the way to the laboratory: in each one thing to do and one to see. What they say
// is computed from the networks of the page as they are, trained or not.

/**
 * @typedef {object} Screen
 * @property {string} id
 * @property {string} title
 * @property {string} [ofLists] the title where lists are asked
 * @property {(app: App) => string} text
 * @property {(app: App, parts: any) => HTMLElement[]} act what there is to do
 * @property {(app: App, parts: any) => HTMLElement[]} picture what there is to see
 * @property {(app: App, parts: any) => void} draw
 */

/** The gate that keeps a cell's state, and the values at which all stays and nothing does. */
const KEEPERS = {
  lstm: { gate: "f", keeps: 1, clears: 0 },
  "peephole-lstm": { gate: "f", keeps: 1, clears: 0 },
  gru: { gate: "z", keeps: 1, clears: 0 },
  mingru: { gate: "z", keeps: 0, clears: 1 },
};

/** @type {Screen[]} */
const SCREENS = [
  {
    id: "remember",
    title: "Remember the first digit",
    ofLists: "Remember the list",
    text: ({ asks }) =>
      asks
        ? `Read these digits one by one, look away, and say them backwards. A network must do the
          same: its answers come in the dotted steps, when nothing is shown any more.`
        : `A palindrome reads the same from both ends, so its last digit is its first. All but the
          last are read one by one; then the network must say what comes. The first digit has to
          outlast everything in between.`,
    act: (app, parts) => {
      parts.another = button(
        { id: "story-another", onclick: () => app.anotherSequence() },
        "another one",
      );
      return [controlLine(parts.another)];
    },
    picture: (app, parts) => {
      parts.boxes = make("p", { class: "boxes", role: "img" });
      return [parts.boxes, findingOf(parts)];
    },
    draw: (app, { boxes, finding }) => {
      const { digits, asks } = app;
      const shown = [...digits.map(sayDigit), ...(asks ? [] : ["?"])];
      boxes.replaceChildren(...shown.map((text) => make("span", {}, text)));
      boxes.setAttribute("aria-label", `Read: ${digits.map(sayDigit).join(" ")}`);
      say(
        finding,
        app.slots.map(
          (slot, k) =>
            `${slot.title}: ${asks ? describeSaid(asks, slot.trace) : describeAnswer(slot)} ${trainedWords(app, k)}`,
        ),
      );
    },
  },
  {
    id: "forget",
    title: "Forgetting",
    text: ({ asks }) =>
      `The same digits are read twice, the second time with another ${asks ? "digit at one place" : "first digit"}.
      Right after it the two states differ. What is left of that difference later is all that the
      network can still tell the two apart by.`,
    act: (app, parts) => {
      parts.other = make("select", {
        id: "story-other",
        onchange: () => app.change({ other: Number(parts.other.value) }),
      });
      parts.from = make("span");
      return [
        controlLine(
          make("label", { for: "story-other" }, "Read ", parts.from, " as"),
          parts.other,
        ),
      ];
    },
    picture: comparedPicture,
    draw: (app, parts) => {
      const first = app.list[app.place];
      if (parts.from.textContent !== `the ${first}`) {
        parts.from.textContent = `the ${first}`;
        const others = [...Array(10).keys()].filter((digit) => digit !== first);
        parts.other.replaceChildren(
          ...others.map((digit) => make("option", { value: digit }, String(digit))),
        );
      }
      parts.other.value = String(app.other);
      drawDistances(parts, app, app.slots);
    },
  },
  {
    id: "vanish",
    title: "What comes back",
    text: () =>
      `Training sends the error back through the steps: this is how large its gradient is when it
      arrives at each of them. Falling to the left it vanishes, rising it explodes. A small one does
      not decide alone: come back when you have trained, and look whether a network that has
      learned it is told apart by this curve.`,
    act: (app, parts) => {
      parts.length = make("input", {
        id: "story-length",
        type: "range",
        oninput: () => app.another(Number(parts.length.value)),
      });
      parts.name = make("label", { for: "story-length" });
      return [controlLine(parts.name, parts.length)];
    },
    picture: comparedPicture,
    draw: (app, parts) => {
      const items = app.list.length + (app.asks ? 0 : 1);
      Object.assign(parts.length, {
        min: app.asks ? 3 : 5,
        max: app.asks ? 30 : 60,
        value: String(items),
      });
      parts.name.textContent = app.asks ? `Ask for ${items} digits` : `Ask at T = ${items}`;
      const lines = app.slots.map((slot) => ({
        values: slot.trace.gradientNorms.hidden,
        look: slot.letter,
        label: slot.title,
      }));
      const find = (slot) => describeGradient(slot.trace.gradientNorms.hidden);
      parts.caption.replaceChildren("‖∂L/∂h(t)‖: ", legend(app.slots, []));
      const description = "Norm of the gradient with respect to h at each step";
      drawComparison(parts.chart, app, find, { lines, height: 190, description });
    },
  },
  {
    id: "gate",
    title: "A gate",
    text: () =>
      `A gate is a tap between 0 and 1, one for each unit, that the network sets itself at every
      step. Hold the one that decides what stays of the state, and look what becomes of the
      difference from before.`,
    act: (app, parts) => {
      parts.radios = ["free", "let all stay", "let nothing stay"].map((text, k) => {
        const input = make("input", {
          type: "radio",
          name: "story-gate",
          id: `story-gate-${k}`,
          onchange: () => {
            const slot = gatedSlot(app);
            const { gate, keeps, clears } = KEEPERS[slot.network.cell];
            app.clamp(slot, gate, [undefined, keeps, clears][k]);
          },
        });
        return { input, label: make("label", {}, input, ` ${text}`) };
      });
      parts.legend = make("legend");
      const labels = parts.radios.map(({ label }) => label);
      parts.hold = make("fieldset", { class: "clamp" }, parts.legend, ...labels);
      const put = () => app.choose({ cell: ["rnn", "lstm"], start: ["uniform", "uniform"] });
      parts.put = button({ id: "story-put", onclick: put }, "put an LSTM beside an RNN");
      return [parts.hold, parts.put];
    },
    picture: comparedPicture,
    draw: (app, parts) => {
      const slot = gatedSlot(app);
      parts.hold.hidden = parts.chart.host.hidden = !slot;
      parts.put.hidden = Boolean(slot);
      if (!slot) {
        parts.chart.finding.textContent = "Neither network has a gate.";
        return;
      }
      const { gate, keeps, clears } = KEEPERS[slot.network.cell];
      const held = slot.whatIf.clamp[gate];
      const chosen = [undefined, keeps, clears].indexOf(held);
      parts.radios.forEach(({ input }, k) => (input.checked = k === chosen));
      parts.legend.textContent = `${slot.title}, ${gate}:`;
      drawDistances(parts, app, [slot]);
      const steps = slot.trace.gates[gate];
      const all = steps.flatMap((values) => [...values]);
      const mean = all.reduce((a, b) => a + b, 0) / all.length;
      const says = app.asks ? describeSaid(app.asks, slot.trace) : describeAnswer(slot);
      const words = `${gate} is ${mean.toFixed(2)} in the mean over units and steps${held === undefined ? "" : ", held there"}. ${says}`;
      parts.chart.finding.append(make("p", {}, words));
    },
  },
  {
    id: "rate",
    title: "The rate decides who wins",
    text: ({ asks }) =>
      `Now let both learn: the same ${asks ? "lists" : "palindromes"}, the same learning rate. Then
      move the rate, say from 0.003 to 0.03, let them learn again, and look who is ahead.`,
    act: (app, parts) => {
      parts.rate = rateSlider("story-rate", app);
      parts.start = button({ id: "story-start", onclick: () => app.toggleTraining() });
      return [controlLine(labelled("Learning rate", parts.rate.element), parts.start)];
    },
    picture: (app, parts) => {
      parts.host = make("div", { class: "chart" });
      parts.runs = make("div", { class: "finding", id: "story-runs" });
      const caption = make(
        "figcaption",
        {},
        "share of fresh ones right, by training step: ",
        (parts.legend = make("span", { class: "legend" })),
      );
      return [make("figure", {}, parts.host, caption), findingOf(parts), parts.runs];
    },
    draw: (app, { rate, start, host, legend, finding, runs }) => {
      rate.draw();
      start.textContent = app.live.running
        ? "pause"
        : app.live.goesOn
          ? "let them learn"
          : "let them learn again";
      legend.replaceChildren(
        ...app.slots.map((slot) => make("span", {}, swatch(slot), slot.title)),
      );
      drawAccuracies(host, app);
      say(
        finding,
        app.slots.map((_, k) => describeCourse(app, k)),
      );
      const found = describeRates(app);
      if (runs.textContent !== found) runs.textContent = found;
    },
  },
  {
    id: "beyond",
    title: "Sure, and right?",
    text: () => BEYOND,
    act: (app, parts) => {
      parts.beyond = buildBeyond(app, "story-beyond");
      return [controlLine(parts.beyond.name, parts.beyond.slider)];
    },
    picture: (app, parts) => [parts.beyond.columns, findingOf(parts)],
    draw: (app, { beyond, finding }) => {
      beyond.slider.disabled = beyond.columns.hidden = app.asks !== null;
      if (app.asks) return say(finding, ["Lists are asked of one length here: choose the first digit."]);
      if (!app.inSight.has(beyond.columns.closest(".screen"))) return;
      drawBeyond(app, beyond);
      const unlearned = app.live.courses.every(({ steps }) => steps === 0);
      say(finding, unlearned ? ["They know nothing yet: let them learn on the screen before."] : []);
    },
  },
  {
    id: "map",
    title: "The map",
    text: () =>
      `Each mark is a training, filled where it was solved within ${BUDGET.toLocaleString("en")} steps.
      The pale ones are the runs of “digitspan study quick”, whose networks are of this size; those
      with a ring are yours. Press on a place, or set T and the rate, and let them learn there.`,
    act: (app, parts) => {
      parts.length = make("input", {
        id: "story-T",
        type: "range",
        min: LEAST_LENGTH,
        max: MOST_LENGTH,
        oninput: () =>
          app.choose({ task: "palindrome", T: Number(parts.length.value), digits: "" }),
      });
      parts.T = make("output", { for: "story-T" });
      parts.rate = rateSlider("story-map-rate", app);
      const start = () => {
        if (app.asks) app.choose({ task: "palindrome", digits: "" }); // the map is of palindromes
        app.toggleTraining();
      };
      parts.start = button({ id: "story-map-start", onclick: start });
      return [
        controlLine(
          labelled("T", make("span", { class: "rate" }, parts.length, parts.T)),
          labelled("Learning rate", parts.rate.element),
          parts.start,
        ),
      ];
    },
    picture: (app, parts) => {
      parts.maps = make("div", { class: "columns columns-2" });
      return [parts.maps, findingOf(parts)];
    },
    draw: (app, { length, T, rate, start, maps, finding }) => {
      rate.draw();
      length.value = String(app.live.choice.T);
      T.textContent = String(app.live.choice.T);
      start.textContent = app.live.running ? "pause" : "let them learn here";
      say(finding, [drawMap(maps, app)]);
    },
  },
];

/** Set the screens up. @param {HTMLElement} host @param {App} app */
function buildStory(host, app) {
  const screens = SCREENS.map((screen, k) => {
    const parts = {};
    const heading = make("h2", { id: `screen-${screen.id}-title` });
    const text = make("p", { class: "look" });
    const act = screen.act(app, parts);
    const picture = screen.picture(app, parts);
    const section = make(
      "section",
      {
        class: "screen",
        id: `screen-${screen.id}`,
        "aria-labelledby": `screen-${screen.id}-title`,
      },
      make(
        "div",
        {},
        make("p", { class: "brand" }, `${k + 1} of ${SCREENS.length}`),
        heading,
        text,
        make("div", { class: "act" }, ...act),
      ),
      make("div", { class: "see" }, ...picture),
    );
    return { screen, parts, heading, text, section };
  });
  host.replaceChildren(...screens.map(({ section }) => section));
  return screens;
}

/** @param {ReturnType<typeof buildStory>} screens @param {App} app @param {Set<Element>} [only] */
function drawStory(screens, app, only) {
  for (const { screen, parts, heading, text, section } of screens) {
    if ((only && !only.has(section)) || app.pager.isOff(section)) continue;
    heading.textContent = (app.asks && screen.ofLists) || screen.title;
    text.textContent = screen.text(app);
    screen.draw(app, parts);
  }
}

const findingOf = (parts) => (parts.finding = make("div", { class: "finding" }));

/** @param {HTMLElement} host @param {string[]} sentences */
const say = (host, sentences) =>
  host.replaceChildren(...sentences.filter(Boolean).map((text) => make("p", {}, text)));

/** What a network is at this moment. @param {App} app @param {number} k */
function trainedWords({ live }, k) {
  const { steps, fresh } = live.courses[k];
  const last = fresh.at(-1);
  if (!last) return "";
  const when = steps ? `After ${steps.toLocaleString("en")} training steps` : "Untrained";
  return `${when}, ${percent(last.accuracy)} of fresh ones are right; guessing gives 10 %.`;
}

/** A chart that both networks share, as the panels have it. @param {App} app */
function comparedPicture(app, parts) {
  const section = make("div");
  parts.chart = buildComparison(section, app, "", []);
  parts.caption = section.querySelector("figcaption");
  return [section];
}

/** What is left of the difference. @param {any} parts @param {App} app @param {Slot[]} slots */
function drawDistances(parts, app, slots) {
  const lines = slots.map((slot) => ({
    values: sharesLeft(slot, app.place),
    look: slot.letter,
    label: slot.title,
  }));
  const find = (slot) => describeMemory(slot, app);
  parts.caption.replaceChildren(
    "distance of the states, of that where it is read: ",
    legend(slots, []),
  );
  const description = "How much of the difference is left in the state";
  const reference = { value: NOTHING, label: "1 % left" };
  drawComparison(parts.chart, { ...pick(app), slots }, find, {
    lines,
    height: 190,
    reference,
    description,
  });
}

/** What a chart needs of the page. @param {App} app */
const pick = ({ digits, step }) => ({ digits, step });

/** The network with a gate that keeps; the last of them. @param {App} app */
const gatedSlot = ({ slots }) => slots.findLast(({ network }) => network.cell in KEEPERS);

/** What the runs of this page say of the rates at the present task, T, cells, starts and seed. */
function describeRates({ live }) {
  const { cell, start, task, T, seed } = live.choice;
  if (cell.length < 2) return "";
  const here = (run) => run.task === task && run.T === T && run.seed === seed;
  const pairs = new Map();
  for (const run of live.runs.filter(here)) {
    const k = cell.findIndex((name, at) => name === run.cell && start[at] === run.start);
    if (k < 0) continue;
    const pair = pairs.get(run.rate) ?? [null, null];
    pair[k] = run;
    pairs.set(run.rate, pair);
  }
  const whole = [...pairs].filter(([, pair]) => pair[0] && pair[1]).sort(([a], [b]) => a - b);
  const winners = whole.map(([rate, pair]) => ({ rate, winner: winnerOf(pair) }));
  const titles = cell.map((name) => live.facts[name].title);
  const words = winners.map(({ rate, winner }) =>
    winner < 0 ? `at ${rate} neither is ahead` : `at ${rate} ${titles[winner]} is ahead`,
  );
  if (words.length === 0) return "";
  const turned =
    new Set(winners.map(({ winner }) => winner).filter((winner) => winner >= 0)).size > 1;
  return `Your runs at T = ${T}: ${words.join(", ")}.${turned ? " It has turned: nothing but the rate was changed." : ""}`;
}

/** Who was solved, or solved first; -1 where neither was, or both at once. @param {OwnRun[]} pair */
function winnerOf(pair) {
  const [one, other] = pair.map(({ outcome, steps }) => (outcome === "solved" ? steps : Infinity));
  return one === other ? -1 : one < other ? 0 : 1;
}
