/**
 * The page's state as query parameters. The page's address and GET /api/search use the same parameters: to turn
 * `/?q=boots&filter=price<=50` into an API request, put its query string behind /api/search.
 */

/** State that applies to the second column only. */
export const OTHER_COLUMN = ["compare", "other_shop", "other_system", "other_rerank"];
const SINGLE_VALUES = ["photo", "like", "system", "rerank", "per_page", ...OTHER_COLUMN];

/** State that no InstantSearch widget manages. rest: filters without a facet, for example from a link made by hand */
export const OWN_STATE = [...SINGLE_VALUES, "rest"];

/** @returns {string[]} the state's filters as API parameters: "price<=50" */
export function stateToFilters(state) {
  const lists = Object.entries(state.refinementList ?? {});
  const ranges = Object.entries(state.range ?? {});
  return [
    ...lists.flatMap(([name, values]) => values.map((value) => `${name}=${value}`)),
    ...ranges.flatMap(([name, range]) => {
      const [min, max] = range.split(":");
      return [min && `${name}>=${min}`, max && `${name}<=${max}`].filter(Boolean);
    }),
    ...(state.rest ?? []),
  ];
}

/** Filters as InstantSearch state: the reverse of stateToFilters. */
export function filtersToState(filters, facets) {
  const state = { refinementList: {}, range: {}, rest: undefined };
  for (const filter of filters) {
    const { facet, operator, value } = parseFilter(filter, facets);
    if (facet?.kind === "number" && operator) {
      const [min = "", max = ""] = (state.range[facet.name] ?? ":").split(":");
      state.range[facet.name] = `${operator === "<=" ? min : value}:${operator === ">=" ? max : value}`;
    } else if (facet && operator === "=") (state.refinementList[facet.name] ??= []).push(value);
    else state.rest = [...(state.rest ?? []), filter];
  }
  return state;
}

/** Facet, operator and value of a filter. Facet or operator are undefined if the page does not offer them. */
export function parseFilter(filter, facets) {
  // Try the longest name first, because a name may begin with another one.
  const longestFirst = [...facets].sort((a, b) => b.name.length - a.name.length);
  const facet = longestFirst.find(({ name }) => filter.startsWith(name));
  const [, operator, value] = filter.slice(facet?.name.length).match(/^(<=|>=|=)(.*)$/s) ?? [];
  return { facet, operator, value };
}

/** @returns {URLSearchParams} the state as query parameters; empty for the page's initial state */
export function stateToParameters(state) {
  const parameters = new URLSearchParams();
  if (state.query) parameters.set("q", state.query);
  for (const filter of stateToFilters(state)) parameters.append("filter", filter);
  if (state.page > 1) parameters.set("page", state.page);
  for (const name of SINGLE_VALUES) if (state[name]) parameters.set(name, state[name]);
  return parameters;
}

/** Query parameters as state: the reverse of stateToParameters. */
export function parametersToState(parameters, facets) {
  const singleValues = SINGLE_VALUES.map((name) => [name, parameters.get(name) ?? undefined]);
  return {
    query: parameters.get("q") ?? undefined,
    page: Number(parameters.get("page")) || undefined,
    ...filtersToState(parameters.getAll("filter"), facets),
    ...Object.fromEntries(singleValues),
  };
}
