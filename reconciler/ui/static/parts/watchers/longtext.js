// @ts-check
// Text that somebody else wrote, of any length: its beginning, and the rest when asked for.
import { foreign, h, setText } from "../../lib/dom.js";
import { bytes, cut } from "../../lib/format.js";

/** Characters that are shown at once. */
const MOST = 400;
/** Characters that are shown at most: more of them in one element make a page slow. */
const ALL = 200_000;

/**
 * @param {string} text
 * @param {string} [className]
 * @param {number} [most]
 */
export function longText(text, className, most = MOST) {
  const [short, more] = cut(text, most);
  const shown = foreign(short, className);
  if (!more) return shown;
  const button = h("button", { type: "button", class: "link-button small", "aria-expanded": false }, `show all (${bytes(text.length)})`);
  button.addEventListener("click", () => {
    const open = button.getAttribute("aria-expanded") !== "true";
    button.setAttribute("aria-expanded", String(open));
    setText(shown, open ? cut(text, ALL)[0] : short);
    setText(button, open ? "show less" : `show all (${bytes(text.length)})`);
  });
  return h("span", null, shown, " ", button);
}
