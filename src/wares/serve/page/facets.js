/** The filters on the left: checkboxes for values, a range for numbers. */
import { byId, element, spaced } from "./dom.js";

/**
 * One widget for each facet of the shop.
 * @param {{name: string, label: string, kind: string}[]} facets
 * @param {(name: string, range: string) => void} setRange receives a range such as "10:50"; either side may be empty
 */
export function facetWidgets(facets, setRange) {
  byId("filters").hidden = !facets.length;
  return facets.map((facet) => {
    const container = element("div");
    const heading = element("h2", {}, spaced(facet.label));
    byId("facets").append(element("section", { className: "facet" }, heading, container));
    return facet.kind === "number" ? rangeWidget(facet, container, setRange) : valuesWidget(facet, container);
  });
}

function valuesWidget(facet, container) {
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
        html`Show ${isShowingMore ? "fewer" : "all"}<span class="visually-hidden"> of ${spaced(facet.label)}</span>`,
    },
  });
}

function rangeWidget(facet, container, setRange) {
  const numberInput = (side) => {
    const label = `${spaced(facet.label)} ${side}`;
    return element("input", { type: "number", step: "any", inputMode: "decimal", "aria-label": label });
  };
  const [from, to] = [numberInput("from"), numberInput("to")];
  container.append(element("div", { className: "range" }, from, element("span", {}, "to"), to));
  // InstantSearch's own refine ignores numbers outside of the results' range.
  from.onchange = to.onchange = () => setRange(facet.name, `${from.value}:${to.value}`);
  return instantsearch.connectors.connectRange(({ range, start }) => {
    for (const [input, value, bound] of [
      [from, start[0], range.min],
      [to, start[1], range.max],
    ]) {
      input.placeholder = bound ?? "";
      if (input !== document.activeElement) input.value = Number.isFinite(value) ? value : "";
    }
  })({ attribute: facet.name, precision: 2 });
}
