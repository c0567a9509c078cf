/** The filters on the left: a list of values for words, two numbers for numbers. */
import { byId, element } from "./dom.js";
import { plain } from "./hits.js";

/**
 * A widget for every facet of the shop.
 * @param {{name: string, label: string, kind: string}[]} facets
 * @param {(name: string, range: string) => void} setRange takes a range such as "10:50", where either side may be empty
 */
export function facetWidgets(facets, setRange) {
  byId("filters").hidden = !facets.length;
  return facets.map((facet) => {
    const container = element("div");
    const name = element("h2", {}, plain(facet.label));
    byId("facets").append(element("section", { className: "facet" }, name, container));
    return facet.kind === "number" ? range(facet, container, setRange) : values(facet, container);
  });
}

function values(facet, container) {
  return instantsearch.widgets.refinementList({
    container,
    attribute: facet.name,
    operator: "or",
    limit: 6,
    showMore: true,
    showMoreLimit: 100,
    sortBy: ["isRefined", "count:desc", "name:asc"],
    templates: {
      showMoreText: ({ isShowingMore }, { html }) =>
        html`Show ${isShowingMore ? "fewer" : "all"}<span class="unseen"> of ${plain(facet.label)}</span>`,
    },
  });
}

function range(facet, container, setRange) {
  const number = (end) => {
    const label = `${plain(facet.label)} ${end}`;
    return element("input", { type: "number", step: "any", inputMode: "decimal", "aria-label": label });
  };
  const [from, to] = [number("from"), number("to")];
  container.append(element("div", { className: "range" }, from, element("span", {}, "to"), to));
  // Not through InstantSearch's own refine, which ignores numbers beyond those of the results.
  from.onchange = to.onchange = () => setRange(facet.name, `${from.value}:${to.value}`);
  return instantsearch.connectors.connectRange(({ range, start }) => {
    for (const [input, end, bound] of [
      [from, start[0], range.min],
      [to, start[1], range.max],
    ]) {
      input.placeholder = bound ?? "";
      if (input !== document.activeElement) input.value = Number.isFinite(end) ? end : "";
    }
  })({ attribute: facet.name, precision: 2 });
}
