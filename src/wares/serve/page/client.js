/** Sends requests to the server, and converts responses to the shape that InstantSearch expects. */
import { OTHER_COLUMN, stateToFilters, stateToParameters } from "./address.js";
import { sentence } from "./dom.js";

const PER_PAGE = 20;
const COMPARED = 100; // listings of each ranking that are compared: the server's maximum per page

/** An error response, or a server that cannot be reached (status 0). The message is for people. */
export class Failure extends Error {
  constructor(message, status = 0, code = "") {
    super(message);
    Object.assign(this, { status, code });
  }
}

/**
 * The JSON of a response. If the server asks to retry later (it opens a shop, or limits the rate), the request is
 * repeated until it succeeds.
 * @param {(message: string) => void} onWait receives the reason for each wait
 */
export async function fetchJson(url, options = {}, onWait = () => {}) {
  for (;;) {
    const { response, body } = await send(url, options);
    if (response.ok) return body;
    const { message = `The server returned status ${response.status}.`, code } = body?.error ?? {};
    const retryAfter = Number(response.headers.get("Retry-After"));
    if (!retryAfter || ![429, 503].includes(response.status)) throw new Failure(message, response.status, code);
    onWait(message);
    await pause(retryAfter, options.signal);
  }
}

async function send(url, options) {
  try {
    const response = await fetch(url, options);
    return { response, body: await response.json().catch(() => null) };
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure("The server cannot be reached.");
  }
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    setTimeout(resolve, 1000 * seconds);
    signal?.addEventListener("abort", () => reject(signal.reason));
  });
}

/**
 * All shops, and the shop with the given name (the first if null). Waits until the server is ready.
 * @param {string|null} name
 */
export async function openShops(name, status) {
  for (;;) {
    try {
      await fetchJson("/readyz", {}, status.waiting);
      const { shops } = await fetchJson("/api/shops", {}, status.waiting);
      status.clear();
      const shop = shops.find((each) => each.name === name);
      if (name !== null && !shop) status.show(`No shop is named “${name}”. This page shows ${shops[0].name}.`);
      return { shops, shop: shop ?? shops[0] };
    } catch (failure) {
      await new Promise((retry) => status.searchFailed(failure, retry));
    }
  }
}

/**
 * A search client for InstantSearch.
 * @param {{shops, shop, status, getState: () => object, retry: () => void}} page
 */
export function createSearchClient({ shops, shop, status, getState, retry }) {
  let running = new AbortController();

  async function searchColumn(state, column) {
    const { signal } = running;
    const { settings, note } = applicableSettings(column, state);
    const columnState = { ...state, ...Object.fromEntries(OTHER_COLUMN.map((name) => [name, undefined])), ...settings };
    columnState.per_page = perPage(state);
    if (state.compare) {
      columnState.page = Math.floor(offset(state) / COMPARED) + 1;
      columnState.per_page = COMPARED;
    }
    const parameters = stateToParameters(columnState);
    parameters.set("shop", column.shop.name);
    for (const facet of column.shop.facets) parameters.append("facet", facet.name);
    return { ...(await fetchJson(`/api/search?${parameters}`, { signal }, status.waiting)), note };
  }

  async function searchColumns(state) {
    const otherShop = shops.find(({ name }) => name === state.other_shop) ?? shop;
    const emptyWithNote = (failure) => {
      if (failure.name === "AbortError" || failure.status === 0) throw failure;
      return { hits: [], note: sentence(failure.message) };
    };
    const main = searchColumn(state, { shop, system: state.system, rerank: state.rerank });
    const otherColumn = { shop: otherShop, system: state.other_system, rerank: state.other_rerank };
    const other = state.compare ? searchColumn(state, otherColumn).catch(emptyWithNote) : null;
    return Promise.all([main, other]);
  }

  return {
    // InstantSearch sends one more request for every facet with a filter. The first response has the counts for all.
    async search(requests) {
      running.abort();
      running = new AbortController();
      const { signal } = running;
      status.searchStarted();
      try {
        const state = getState();
        const [main, other] = await searchColumns(state);
        const results = toResults(state, main, other);
        status.searchFinished(results);
        return { results: requests.map(() => structuredClone(results)) };
      } catch (failure) {
        // After a failure InstantSearch would restore its previous state, and the typed words would be lost. So this
        // promise never settles; a later search replaces it.
        if (!signal.aborted) status.searchFailed(failure, retry);
        return new Promise(() => {});
      }
    },
  };
}

const perPage = (state) => Number(state.per_page) || PER_PAGE;
const offset = (state) => perPage(state) * ((state.page ?? 1) - 1);

/** The settings of a column that apply to the state's query; for the others, a note for people. */
function applicableSettings({ shop, system, rerank }, state) {
  const hasWords = Boolean(state.query?.trim());
  const hasImages = Boolean(state.photo || state.like);
  const applicable = applicableSystem(system, hasWords, hasImages);
  const reason = system === "bm25" ? "ranks by words only" : "needs words";
  const notes = [
    rerank && !shop.has_ranker && "This shop has no ranker.",
    rerank && shop.has_ranker && hasImages && !hasWords && "The ranker needs words.",
    system && !applicable && `“${system}” ${reason}, so “fused” ranked these results.`,
  ];
  const settings = { system: applicable, rerank: shop.has_ranker && hasWords ? rerank : undefined };
  return { settings, note: notes.filter(Boolean).join(" ") };
}

function applicableSystem(system, hasWords, hasImages) {
  if (system === "bm25" && hasImages) return undefined;
  return system === "fused+bm25" && hasImages && !hasWords ? undefined : system;
}

/** Results in InstantSearch's shape, with both columns as `main` and `other`. */
function toResults(state, main, other) {
  const start = state.compare ? offset(state) % COMPARED : 0;
  const ranksOf = (hits) => new Map(hits.map((hit, index) => [hit.id, offset(state) - start + index + 1]));
  const [mainRanks, otherRanks] = [ranksOf(main.hits), ranksOf(other?.hits ?? [])];
  const pageOf = (response, ranks, otherColumnRanks) =>
    response.hits.slice(start, start + perPage(state)).map((hit) => ({
      ...hit,
      objectID: hit.id,
      shop: response.shop,
      rank: ranks.get(hit.id),
      otherRank: other?.shop ? (otherColumnRanks.get(hit.id) ?? null) : undefined, // no shop: its search failed
    }));
  const column = (response, ...ranks) => ({ ...response, hits: pageOf(response, ...ranks) });
  const numberFacets = Object.keys(main.ranges).map((name) => [name, {}]);
  return {
    main: column(main, mainRanks, otherRanks),
    other: other && column(other, otherRanks, mainRanks),
    hits: pageOf(main, mainRanks, otherRanks),
    query: state.query ?? "",
    nbHits: main.total,
    page: (state.page ?? 1) - 1,
    hitsPerPage: perPage(state),
    nbPages: Math.ceil(main.total / perPage(state)),
    processingTimeMS: main.took_ms,
    facets: { ...main.facets, ...Object.fromEntries(numberFacets) },
    facets_stats: main.ranges,
    filtered: stateToFilters(state).length > 0,
    capped: main.capped,
  };
}
