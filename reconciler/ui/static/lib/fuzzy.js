// @ts-check
// Search as people type it: several words, each somewhere in the text, letters may be left out of longer ones.

/**
 * Texts in lower case, kept with the items they are of.
 * @type {WeakMap<object, {text: string, lower: string}>}
 */
const lowered = new WeakMap();

/**
 * Return the items that answer to a query, the best first; those that are equally good stay in their order, and an empty
 * query returns all of them.
 * @template {object} T
 * @param {string} query
 * @param {readonly T[]} items
 * @param {(item: T) => string} textOf
 * @returns {T[]}
 */
export function rank(query, items, textOf) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return [...items];
  /** @type {{item: T, points: number, at: number}[]} */
  const found = [];
  for (let at = 0; at < items.length; at++) {
    const item = items[at];
    const points = score(words, lower(item, textOf(item)));
    if (points > 0) found.push({ item, points, at });
  }
  found.sort((a, b) => b.points - a.points || a.at - b.at);
  return found.map((each) => each.item);
}

/**
 * How well a text answers to words in lower case; 0: not all of them are in it.
 * @param {readonly string[]} words
 * @param {string} text
 */
export function score(words, text) {
  let sum = 0;
  for (const word of words) {
    const points = scoreOne(word, text);
    if (points === 0) return 0;
    sum += points;
  }
  return sum;
}

/**
 * @param {string} word
 * @param {string} text
 */
function scoreOne(word, text) {
  let best = 0;
  for (let at = text.indexOf(word), tries = 0; at >= 0 && tries < 8; at = text.indexOf(word, at + 1), tries++) {
    const begins = at === 0 || !isWord(text.charCodeAt(at - 1));
    const ends = at + word.length === text.length || !isWord(text.charCodeAt(at + word.length));
    best = Math.max(best, 100 + (begins ? 40 : 0) + (begins && ends ? 40 : 0) + Math.max(0, 20 - at / 8));
    if (begins && ends) break;
  }
  return best || (word.length >= 3 ? scattered(word, text) : 0);
}

/**
 * The letters of a word in their order, close together.
 * @param {string} word
 * @param {string} text
 */
function scattered(word, text) {
  const widest = word.length * 2;
  for (let start = text.indexOf(word[0]); start >= 0; start = text.indexOf(word[0], start + 1)) {
    let at = start;
    let i = 1;
    while (i < word.length && at - start < widest) {
      at = text.indexOf(word[i], at + 1);
      if (at < 0) break;
      i++;
    }
    if (at < 0) return 0;
    const span = at - start + 1;
    if (i === word.length && span <= widest) return 50 * (word.length / span);
  }
  return 0;
}

/** @param {number} code */
function isWord(code) {
  return (code >= 97 && code <= 122) || (code >= 48 && code <= 57) || code > 127;
}

/**
 * @param {object} item
 * @param {string} text
 */
function lower(item, text) {
  const known = lowered.get(item);
  if (known && known.text === text) return known.lower;
  const made = { text, lower: text.toLowerCase() };
  lowered.set(item, made);
  return made.lower;
}
