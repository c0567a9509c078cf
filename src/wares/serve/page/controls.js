/** Selectors, chips and examples. */
import { filtersToState, OTHER_COLUMN, parseFilter, stateToFilters, stateToParameters } from "./address.js";
import { fetchJson } from "./client.js";
import { byId, element, fill, spaced } from "./dom.js";
import { showPhotoError } from "./photo.js";

const PER_PAGE_OPTIONS = ["20", "50", "100"]; // listings; each divides the hundred listings that are compared

/**
 * Show the page's state in every control.
 * @param page {shops, shop, photos, change, state, results}; results are null before the first response
 */
export function showControls(page) {
  showShops(page);
  showQueryChips(page);
  showExamples(page);
  showFilters(page);
  showTools(page);
  showColumns(page);
}

/** A control with its label. It is created once and then reused, so that it keeps the focus. */
function labelledControl(id, parent, label, create) {
  let control = byId(id);
  if (!control) {
    control = create();
    control.id = id;
    parent.append(element("label", { className: "tool" }, element("span", {}, label), control));
  }
  return control;
}

/** @param {[string, string][]} options value and label of each */
function showSelect(id, parent, label, options, selected, onchange) {
  const select = labelledControl(id, parent, label, () =>
    element("select", {}, ...options.map(([value, text]) => element("option", { value }, text))),
  );
  select.value = selected;
  select.onchange = () => onchange(select.value);
}

function showToggle(id, parent, label, on, onchange) {
  const checkbox = labelledControl(id, parent, label, () => element("input", { type: "checkbox" }));
  checkbox.checked = on;
  checkbox.onchange = () => onchange(checkbox.checked);
}

const shopOptions = (shops) => shops.map(({ name }) => [name, name]);
const systemOptions = (shop) => [["", "default"], ...shop.systems.map((name) => [name, name])];

function showShops({ shops, shop, state }) {
  if (shops.length < 2) return;
  // Another shop has other filters, so the page reloads with the query and photo only.
  showSelect("shop", byId("shops"), "Shop", shopOptions(shops), shop.name, (name) => {
    const kept = stateToParameters({ query: state.query, photo: state.photo });
    location.search = new URLSearchParams([["shop", name], ...kept]);
  });
}

function showTools({ shop, state, change }) {
  const tools = byId("tools");
  showSelect("system", tools, "Ranked by", systemOptions(shop), state.system ?? "", (system) =>
    change({ system: system || undefined }),
  );
  if (shop.has_ranker) {
    showToggle("rerank", tools, "Rerank", Boolean(state.rerank), (on) => change({ rerank: on ? "true" : undefined }));
  }
  const perPageOptions = PER_PAGE_OPTIONS.map((count) => [count, count]);
  showSelect("per-page", tools, "Per page", perPageOptions, state.per_page ?? PER_PAGE_OPTIONS[0], (count) =>
    change({ per_page: count === PER_PAGE_OPTIONS[0] ? undefined : count }),
  );
  showToggle("compare", tools, "Compare", Boolean(state.compare), (on) =>
    change(on ? { compare: "true", other_system: state.system === "bm25" ? "fused" : "bm25" } : SINGLE_COLUMN),
  );
}

const SINGLE_COLUMN = Object.fromEntries(OTHER_COLUMN.map((name) => [name, undefined]));

function showColumns(page) {
  const { state, results } = page;
  byId("columns").classList.toggle("two", Boolean(state.compare));
  byId("other-column").hidden = !state.compare;
  showNote("main-note", results?.main.note);
  showNote("other-note", results?.other?.note);
  const ranking = (column) => (column?.system ? `: ${column.system}` : "");
  byId("main-name").textContent = `Results${state.compare ? ranking(results?.main) : ""}`;
  byId("other-name").textContent = `Compared with${ranking(results?.other)}`;
  if (state.compare) showOtherTools(page);
}

/** The controls of the second column. */
function showOtherTools({ shops, shop, state, change }) {
  const tools = byId("other-tools");
  const otherShop = shops.find(({ name }) => name === state.other_shop) ?? shop;
  if (shops.length > 1) {
    showSelect("other-shop", tools, "Shop", shopOptions(shops), otherShop.name, (name) =>
      change({ other_shop: name === shop.name ? undefined : name }),
    );
  }
  showSelect("other-system", tools, "Ranked by", systemOptions(shop), state.other_system ?? "", (system) =>
    change({ other_system: system || undefined }),
  );
  if (shops.some(({ has_ranker }) => has_ranker)) {
    showToggle("other-rerank", tools, "Rerank", Boolean(state.other_rerank), (on) =>
      change({ other_rerank: on ? "true" : undefined }),
    );
  }
}

function showNote(id, message) {
  byId(id).textContent = message ?? "";
  byId(id).hidden = !message;
}

/** A button that removes a part of the search. */
function chip(name, onclick, image = null) {
  const cross = element("span", { "aria-hidden": "true" }, "×");
  const properties = { type: "button", className: "chip", onclick, "aria-label": `Remove ${name}` };
  return element("button", properties, image, name, cross);
}

function showQueryChips({ shop, photos, state, change }) {
  const chips = [];
  if (state.photo) {
    const preview = photos.preview(state.photo);
    const image = preview ? element("img", { src: preview, width: 40, height: 40, alt: "" }) : null;
    const remove = () => {
      showPhotoError("");
      change({ photo: undefined });
    };
    chips.push(chip(preview ? "your photo" : "a photo", remove, image));
  }
  if (state.like) chips.push(chip(`more like ${titleOf(state.like, shop)}`, () => change({ like: undefined })));
  fill(byId("query-chips"), ...chips);
}

const titles = new Map();

/** The title of a listing; its id until the title is fetched. */
function titleOf(id, shop) {
  if (!titles.has(id)) {
    titles.set(id, id);
    fetchJson(`/api/search?${new URLSearchParams({ shop: shop.name, filter: `id=${id}`, per_page: 1 })}`).then(
      ({ hits: [hit] }) => {
        if (!hit?.title) return;
        titles.set(id, `“${hit.title}”`);
        for (const button of document.querySelectorAll("#query-chips .chip")) {
          if (button.getAttribute("aria-label") !== `Remove more like ${id}`) continue;
          button.setAttribute("aria-label", `Remove more like “${hit.title}”`);
          button.firstChild.textContent = `more like “${hit.title}”`;
        }
      },
      () => {}, // the chip keeps the id
    );
  }
  return titles.get(id);
}

function showExamples({ shop, state, change }) {
  const hasQuery = state.query || state.photo || state.like;
  const example = (query) =>
    element("button", { type: "button", className: "chip", onclick: () => change({ query }) }, query);
  const chips = hasQuery ? [] : shop.examples.map(example);
  fill(byId("examples"), ...(chips.length ? [element("span", {}, "Try"), ...chips] : []));
}

const OPERATOR_WORDS = { ">=": "from", "<=": "to", "=": "" };

function showFilters({ shop, state, change }) {
  const filters = stateToFilters(state);
  const setFilters = (remaining) => change(filtersToState(remaining, shop.facets));
  const chips = filters.map((filter) => {
    const { facet, operator, value } = parseFilter(filter, shop.facets);
    const words = operator && [`${spaced(facet.label)}:`, OPERATOR_WORDS[operator], value];
    const name = words ? words.filter(Boolean).join(" ") : filter;
    return chip(name, () => setFilters(filters.filter((other) => other !== filter)));
  });
  const clear = { type: "button", className: "clear", onclick: () => setFilters([]) };
  fill(byId("chips"), ...(chips.length ? [...chips, element("button", clear, "Clear filters")] : []));
}
