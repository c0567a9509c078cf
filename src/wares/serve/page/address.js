/**
 * The state of the page as query parameters. The page's own address and the API have the same ones, so that
 * `/?q=boots&filter=price<=50` becomes a request of GET /api/search by writing it behind that.
 */

/** What of the state is for the second column alone. */
export const OTHER = ["compare", "other_shop", "other_system", "other_rerank"];
const PLAIN = ["photo", "like", "system", "rerank", "per_page", ...OTHER];

/** State of ours that InstantSearch has no widget for. rest: filters that no facet offers, as in a link made by hand */
export const OWN = [...PLAIN, "rest"];

/** @returns {string[]} filters as the API takes them: "price<=50" */
export function filtersOf(state) {
  const lists = Object.entries(state.refinementList ?? {});
  const ranges = Object.entries(state.range ?? {});
  return [
    ...lists.flatMap(([name, values]) => values.map((value) => `${name}=${value}`)),
    ...ranges.flatMap(([name, range]) => {
      const [least, most] = range.split(":");
      return [least && `${name}>=${least}`, most && `${name}<=${most}`].filter(Boolean);
    }),
    ...(state.rest ?? []),
  ];
}

/** The reverse. */
export function refinementsOf(filters, facets) {
  const found = { refinementList: {}, range: {}, rest: undefined };
  for (const filter of filters) {
    const { facet, operator, value } = parse(filter, facets);
    if (facet?.kind === "number" && operator) {
      const [least = "", most = ""] = (found.range[facet.name] ?? ":").split(":");
      found.range[facet.name] = `${operator === "<=" ? least : value}:${operator === ">=" ? most : value}`;
    } else if (facet && operator === "=") (found.refinementList[facet.name] ??= []).push(value);
    else found.rest = [...(found.rest ?? []), filter];
  }
  return found;
}

/** Facet, operator and value of a filter. Facet or operator are undefined where the page does not offer them. */
export function parse(filter, facets) {
  // the longest name first: one may begin with another
  const longest = [...facets].sort((a, b) => b.name.length - a.name.length);
  const facet = longest.find(({ name }) => filter.startsWith(name));
  const [, operator, value] = filter.slice(facet?.name.length).match(/^(<=|>=|=)(.*)$/s) ?? [];
  return { facet, operator, value };
}

/** @returns {URLSearchParams} of a state; empty for the page as it first is */
export function queryOf(state) {
  const query = new URLSearchParams();
  if (state.query) query.set("q", state.query);
  for (const filter of filtersOf(state)) query.append("filter", filter);
  if (state.page > 1) query.set("page", state.page);
  for (const name of PLAIN) if (state[name]) query.set(name, state[name]);
  return query;
}

/** The reverse of queryOf. */
export function stateOf(query, facets) {
  const plain = PLAIN.map((name) => [name, query.get(name) ?? undefined]);
  return {
    query: query.get("q") ?? undefined,
    page: Number(query.get("page")) || undefined,
    ...refinementsOf(query.getAll("filter"), facets),
    ...Object.fromEntries(plain),
  };
}
