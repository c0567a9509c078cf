/** The search box: searches while somebody types, and follows the state (the back button, an example) otherwise. */
import { byId } from "./dom.js";

const TYPING = 120; // milliseconds without a key before a search

/** InstantSearch's own box does not follow the state while it has the focus, which here it nearly always has. */
export function searchBox(listings) {
  const [box, clear] = [byId("box"), byId("clear")];
  let refine;
  let waiting;

  function search() {
    clearTimeout(waiting);
    waiting = undefined;
    refine(box.value);
  }

  function empty() {
    box.value = "";
    box.focus();
    search();
  }

  box.placeholder = `Search ${listings.toLocaleString()} listings`;
  box.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(search, TYPING);
  });
  box.form.addEventListener("submit", (event) => {
    event.preventDefault();
    search();
  });
  clear.addEventListener("click", empty);
  document.addEventListener("keydown", (event) => {
    const elsewhere = !event.target.closest?.("input, select, textarea");
    if (event.key === "/" && elsewhere && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      box.focus();
      box.select();
    } else if (event.key === "Escape" && event.target === box) {
      event.preventDefault();
      empty();
    }
  });

  const widget = instantsearch.connectors.connectSearchBox((state) => {
    refine = state.refine;
    if (waiting === undefined && box.value !== state.query) box.value = state.query;
    clear.hidden = !box.value;
  })({});

  if (box.value) waiting = setTimeout(search, TYPING); // typed before this page was ready

  /** What is in the box now, which may not have been searched yet; it no longer will by itself. */
  function typed() {
    clearTimeout(waiting);
    waiting = undefined;
    return box.value;
  }
  return { widget, typed };
}
