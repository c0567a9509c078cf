/** What else can be chosen, and what can be taken away: selectors, chips, examples. */
import { filtersOf, OTHER, parse, queryOf, refinementsOf } from "./address.js";
import { fetchJson } from "./client.js";
import { byId, element, fill } from "./dom.js";
import { plain } from "./hits.js";
import { trouble } from "./photo.js";

const PAGES = ["20", "50", "100"]; // listings; each divides the hundred that rankings are compared over

/**
 * Everything here follows the page's state.
 * @param page {shops, shop, photos, change, state, results}; results are null before the first answer
 */
export function showControls(page) {
  showShops(page);
  showLooked(page);
  showExamples(page);
  showFilters(page);
  showTools(page);
  showColumns(page);
}

/** A control with its label, made once and then only set, so that it keeps the focus. */
function control(id, parent, label, make) {
  let found = byId(id);
  if (!found) {
    found = make();
    found.id = id;
    parent.append(element("label", { className: "tool" }, element("span", {}, label), found));
  }
  return found;
}

/** @param {[string, string][]} options value and name of each */
function select(id, parent, label, options, value, onchange) {
  const made = control(id, parent, label, () =>
    element("select", {}, ...options.map(([each, name]) => element("option", { value: each }, name))),
  );
  made.value = value;
  made.onchange = () => onchange(made.value);
}

function toggle(id, parent, label, on, onchange) {
  const made = control(id, parent, label, () => element("input", { type: "checkbox" }));
  made.checked = on;
  made.onchange = () => onchange(made.checked);
}

function showShops({ shops, shop, state }) {
  if (shops.length < 2) return;
  const names = shops.map(({ name }) => [name, name]);
  // Another shop has other filters: the page begins anew there, with the same words and photo.
  select("shop", byId("shops"), "Shop", names, shop.name, (name) => {
    location.search = new URLSearchParams([["shop", name], ...queryOf({ query: state.query, photo: state.photo })]);
  });
}

const systems = (shop) => [["", "default"], ...shop.systems.map((name) => [name, name])];

function showTools({ shop, state, change }) {
  const here = byId("tools");
  select("system", here, "Ranked by", systems(shop), state.system ?? "", (system) =>
    change({ system: system || undefined }),
  );
  if (shop.has_ranker) {
    toggle("rerank", here, "Rerank", Boolean(state.rerank), (on) => change({ rerank: on ? "true" : undefined }));
  }
  select("per-page", here, "Per page", PAGES.map((each) => [each, each]), state.per_page ?? PAGES[0], (each) =>
    change({ per_page: each === PAGES[0] ? undefined : each }),
  );
  toggle("compare", here, "Compare", Boolean(state.compare), (on) =>
    change(on ? { compare: "true", other_system: state.system === "bm25" ? "fused" : "bm25" } : ALONE),
  );
}

const ALONE = Object.fromEntries(OTHER.map((name) => [name, undefined]));

function showColumns({ shops, shop, state, change, results }) {
  byId("columns").classList.toggle("two", Boolean(state.compare));
  byId("there-column").hidden = !state.compare;
  note("here-note", results?.here.note);
  note("there-note", results?.there?.note);
  const ranking = (column) => (column?.system ? `: ${column.system}` : "");
  byId("here-name").textContent = `Results${state.compare ? ranking(results?.here) : ""}`;
  byId("there-name").textContent = `Compared with${ranking(results?.there)}`;
  if (!state.compare) return;
  const there = byId("there-tools");
  const other = shops.find(({ name }) => name === state.other_shop) ?? shop;
  if (shops.length > 1) {
    const names = shops.map(({ name }) => [name, name]);
    select("other-shop", there, "Shop", names, other.name, (name) =>
      change({ other_shop: name === shop.name ? undefined : name }),
    );
  }
  select("other-system", there, "Ranked by", systems(shop), state.other_system ?? "", (system) =>
    change({ other_system: system || undefined }),
  );
  if (shops.some(({ has_ranker }) => has_ranker)) {
    toggle("other-rerank", there, "Rerank", Boolean(state.other_rerank), (on) =>
      change({ other_rerank: on ? "true" : undefined }),
    );
  }
}

function note(id, message) {
  byId(id).textContent = message ?? "";
  byId(id).hidden = !message;
}

/** A button that takes away what it names. */
function chip(name, onclick, picture = null) {
  const cross = element("span", { "aria-hidden": "true" }, "×");
  const about = { type: "button", className: "chip", onclick, "aria-label": `Remove ${name}` };
  return element("button", about, picture, name, cross);
}

function showLooked({ shop, photos, state, change }) {
  const chips = [];
  if (state.photo) {
    const source = photos.preview(state.photo);
    const picture = source ? element("img", { src: source, width: 40, height: 40, alt: "" }) : null;
    const remove = () => {
      trouble("");
      change({ photo: undefined });
    };
    chips.push(chip(source ? "your photo" : "a photo", remove, picture));
  }
  if (state.like) chips.push(chip(`more like ${titleOf(state.like, shop)}`, () => change({ like: undefined })));
  fill(byId("looked"), ...chips);
}

const titles = new Map();

/** The listing's title, once it is known. */
function titleOf(id, shop) {
  if (!titles.has(id)) {
    titles.set(id, id);
    fetchJson(`/api/search?${new URLSearchParams({ shop: shop.name, filter: `id=${id}`, per_page: 1 })}`).then(
      ({ hits: [hit] }) => {
        if (!hit?.title) return;
        titles.set(id, `“${hit.title}”`);
        for (const each of document.querySelectorAll("#looked .chip")) {
          if (each.getAttribute("aria-label") !== `Remove more like ${id}`) continue;
          each.setAttribute("aria-label", `Remove more like “${hit.title}”`);
          each.firstChild.textContent = `more like “${hit.title}”`;
        }
      },
      () => {}, // the id says it too
    );
  }
  return titles.get(id);
}

function showExamples({ shop, state, change }) {
  const asked = state.query || state.photo || state.like;
  const example = (query) =>
    element("button", { type: "button", className: "chip", onclick: () => change({ query }) }, query);
  const chips = asked ? [] : shop.examples.map(example);
  fill(byId("examples"), ...(chips.length ? [element("span", {}, "Try"), ...chips] : []));
}

const SIGNS = { ">=": "from", "<=": "to", "=": "" };

function showFilters({ shop, state, change }) {
  const filters = filtersOf(state);
  const without = (left) => change(refinementsOf(left, shop.facets));
  const chips = filters.map((filter) => {
    const { facet, operator, value } = parse(filter, shop.facets);
    const name = operator ? [`${plain(facet.label)}:`, SIGNS[operator], value].filter(Boolean).join(" ") : filter;
    return chip(name, () => without(filters.filter((each) => each !== filter)));
  });
  const all = element("button", { type: "button", className: "clear", onclick: () => without([]) }, "Clear filters");
  fill(byId("chips"), ...(chips.length ? [...chips, all] : []));
}
