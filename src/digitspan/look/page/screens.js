// On a phone the sections of the page are screens, one at a time, with a line to go through them.

class Screens {
  /** @param {HTMLElement} host @param {() => void} onTurn called when another is to be drawn */
  constructor(host, onTurn) {
    this.onTurn = onTurn;
    /** As in style.css. */
    this.narrow = matchMedia("(max-width: 620px)");
    /** @type {{title: string, section: HTMLElement}[]} */
    this.all = [];
    this.at = 0;
    this.before = button({ id: "screen-before", "aria-label": "Screen before" }, "‹");
    this.after = button({ id: "screen-after", "aria-label": "Next screen" }, "›");
    this.select = make("select", { id: "screen", "aria-label": "Screen" });
    this.before.onclick = () => this.turnTo(this.at - 1);
    this.after.onclick = () => this.turnTo(this.at + 1);
    this.select.onchange = () => this.turnTo(Number(this.select.value));
    this.host = host;
    host.append(this.before, this.select, this.after);
  }

  /** The sections there are; the one that was chosen stays, where it is still among them. */
  put(all) {
    const before = this.all[this.at]?.section.id;
    this.all = all;
    this.at = Math.max(
      all.findIndex(({ section }) => section.id === before),
      0,
    );
    const options = all.map(({ title }, k) =>
      make("option", { value: k }, `${k + 1} of ${all.length}: ${title}`),
    );
    this.select.replaceChildren(...options);
    this.mark();
  }

  /** @param {number} at */
  turnTo(at) {
    this.at = Math.max(0, Math.min(this.all.length - 1, at));
    this.mark();
    this.onTurn();
    if (this.narrow.matches) this.host.scrollIntoView();
  }

  /** Turn to a section. @param {HTMLElement} section */
  turnToSection(section) {
    this.turnTo(this.all.findIndex((screen) => screen.section === section));
  }

  /** Let the document know which one is chosen, for style.css. */
  mark() {
    this.all.forEach(({ section }, k) => section.classList.toggle("off", k !== this.at));
    this.select.value = String(this.at);
    // Buttons at the ends stay reachable: a disabled one would drop the focus.
    this.before.setAttribute("aria-disabled", String(this.at === 0));
    this.after.setAttribute("aria-disabled", String(this.at === this.all.length - 1));
    const { section } = this.all[this.at];
    document.body.classList.toggle("inside", this.at > 0);
    document.body.classList.toggle("asks", section.closest("#panels") !== null);
  }

  /** Whether a section is not on show. @param {Element} section */
  isOff(section) {
    return this.narrow.matches && section.classList.contains("off");
  }
}
