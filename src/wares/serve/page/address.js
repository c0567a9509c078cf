/**
 * The state of the page as query parameters. The page's own address and the API have the same ones, so that
 * `/?q=boots&filter=price<=50` becomes a request of GET /api/search by writing it behind that.
 */

const PLAIN = ["photo", "like", "system", "rerank", "per_page", "compare", "other_shop", "other_system", "other_rerank"];

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
  ];
}

/** The reverse. What is no filter on one of the facets is left out. */
export function refinementsOf(filters, facets) {
  const found = { refinementList: {}, range: {} };
  // the longest name first: one may begin with another
  const longest = [...facets].sort((a, b) => b.name.length - a.name.length);
  for (const filter of filters) {
    const facet = longest.find(({ name }) => filter.startsWith(name));
    const [, operator, value] = filter.slice(facet?.name.length).match(/^(<=|>=|=)(.*)$/s) ?? [];
    if (!facet || !operator) continue;
    if (facet.kind === "number") {
      const [least = "", most = ""] = (found.range[facet.name] ?? ":").split(":");
      found.range[facet.name] = `${operator === "<=" ? least : value}:${operator === ">=" ? most : value}`;
    } else if (operator === "=") (found.refinementList[facet.name] ??= []).push(value);
  }
  return found;
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
