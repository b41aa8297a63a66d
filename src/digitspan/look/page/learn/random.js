// Random numbers that a seed decides, so that a link shows another person the same.

class Random {
  /**
   * A stream of its own for every use: sfc32 (Chris Doty-Humphrey), its state a hash of the names.
   * @param {...(string | number)} names of what it is for
   */
  constructor(...names) {
    const text = names.join("/");
    this.state = Uint32Array.from([1, 2, 3, 4], (salt) => hashOf(text, salt));
    for (let k = 0; k < 16; k++) this.bits(); // the hash's bits are mixed
  }

  /** 32 random bits. */
  bits() {
    const s = this.state;
    const sum = (s[0] + s[1] + s[3]++) >>> 0;
    s[0] = s[1] ^ (s[1] >>> 9);
    s[1] = s[2] + (s[2] << 3);
    s[2] = ((s[2] << 21) | (s[2] >>> 11)) + sum;
    return sum;
  }

  /** From U(low, high). */
  uniform = (low = 0, high = 1) => low + ((high - low) * this.bits()) / 2 ** 32;

  /** A digit. */
  digit = () => Math.floor(this.uniform(0, 10));

  /** From N(0, 1), by Box and Muller. */
  normal = () =>
    Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
}

/** 32 bits out of a text: FNV-1a, then murmur3's mix. @param {string} text @param {number} salt */
function hashOf(text, salt = 0) {
  let hash = 0x811c9dc5 ^ salt;
  for (const character of text) hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
