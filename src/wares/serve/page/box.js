/** The search box. It searches during typing; otherwise it shows the query of the state (back button, examples). */
import { byId } from "./dom.js";

const TYPING_PAUSE = 120; // milliseconds after the last key until a search starts

/** A box of our own: InstantSearch's box ignores the state while it has the focus, which is most of the time here. */
export function searchBox(listings) {
  const [box, clearButton] = [byId("box"), byId("clear")];
  let refine;
  let timer;

  function cancelTimer() {
    clearTimeout(timer);
    timer = undefined;
  }

  function search() {
    cancelTimer();
    refine(box.value);
  }

  function clear() {
    box.value = "";
    box.focus();
    search();
  }

  box.placeholder = `Search ${listings.toLocaleString()} listings`;
  box.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(search, TYPING_PAUSE);
  });
  box.form.addEventListener("submit", (event) => {
    event.preventDefault();
    search();
  });
  clearButton.addEventListener("click", clear);
  document.addEventListener("keydown", (event) => {
    const outsideFields = !event.target.closest?.("input, select, textarea");
    if (event.key === "/" && outsideFields && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      box.focus();
      box.select();
    } else if (event.key === "Escape" && event.target === box) {
      event.preventDefault();
      clear();
    }
  });

  const widget = instantsearch.connectors.connectSearchBox((state) => {
    refine = state.refine;
    if (timer === undefined && box.value !== state.query) box.value = state.query;
    clearButton.hidden = !box.value;
  })({});

  if (box.value) timer = setTimeout(search, TYPING_PAUSE); // typed before the page was ready

  /** The text in the box, for a search by the caller: a search that is due after typing is cancelled. */
  function takeText() {
    cancelTimer();
    return box.value;
  }
  return { widget, takeText };
}
