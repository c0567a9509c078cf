/** Asks the server, and gives InstantSearch answers of the shape that it knows. */
import { filtersOf, OTHER, queryOf } from "./address.js";
import { sentence } from "./dom.js";

const PER_PAGE = 20;
const BLOCK = 100; // listings that two rankings are compared over: as many as the server gives at once

/** What the server refused, or why it could not be asked (status 0). The message is for people. */
export class Failure extends Error {
  constructor(message, status = 0, code = "") {
    super(message);
    Object.assign(this, { status, code });
  }
}

/**
 * The answer, as soon as the server gives one: where it says "later" (a shop is being opened, or too much was asked),
 * it is asked again.
 * @param {(message: string) => void} onWait told why
 */
export async function fetchJson(url, options = {}, onWait = () => {}) {
  for (;;) {
    const { response, body } = await ask(url, options);
    if (response.ok) return body;
    const { message = `The server answered with ${response.status}.`, code } = body?.error ?? {};
    const later = Number(response.headers.get("Retry-After"));
    if (!later || ![429, 503].includes(response.status)) throw new Failure(message, response.status, code);
    onWait(message);
    await pause(later, options.signal);
  }
}

async function ask(url, options) {
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
 * All shops, and the one of a name, or the first. Waits until they are open, and until the server can be reached.
 * @param {string|null} name
 */
export async function openShops(name, status) {
  for (;;) {
    try {
      await fetchJson("/readyz", {}, status.waiting);
      const { shops } = await fetchJson("/api/shops", {}, status.waiting);
      status.clear();
      const shop = shops.find((each) => each.name === name);
      if (name !== null && !shop) status.tell(`There is no shop “${name}” here. This is ${shops[0].name}.`);
      return { shops, shop: shop ?? shops[0] };
    } catch (failure) {
      await new Promise((again) => status.failed(failure, again));
    }
  }
}

/**
 * What InstantSearch calls a search client.
 * @param {{shops, shop, status, state: () => object, retry: () => void}} page state: of the moment
 */
export function makeClient({ shops, shop, status, state, retry }) {
  let running = new AbortController();

  async function answer(asked, column) {
    const { signal } = running;
    const { settings, note } = settle(column, asked);
    const own = { ...asked, ...Object.fromEntries(OTHER.map((name) => [name, undefined])), ...settings };
    own.per_page = perPage(asked);
    if (asked.compare) {
      own.page = Math.floor(first(asked) / BLOCK) + 1;
      own.per_page = BLOCK;
    }
    const query = queryOf(own);
    query.set("shop", column.shop.name);
    for (const facet of column.shop.facets) query.append("facet", facet.name);
    return { ...(await fetchJson(`/api/search?${query}`, { signal }, status.waiting)), note };
  }

  async function compared(asked) {
    const other = shops.find(({ name }) => name === asked.other_shop) ?? shop;
    const refused = (failure) => {
      if (failure.name === "AbortError" || failure.status === 0) throw failure;
      return { hits: [], note: sentence(failure.message) };
    };
    const here = answer(asked, { shop, system: asked.system, rerank: asked.rerank });
    const there = asked.compare
      ? answer(asked, { shop: other, system: asked.other_system, rerank: asked.other_rerank }).catch(refused)
      : null;
    return Promise.all([here, there]);
  }

  return {
    // InstantSearch asks once more for every facet that is filtered by. The first answer has the counts for all.
    async search(requests) {
      running.abort();
      running = new AbortController();
      const { signal } = running;
      status.began();
      try {
        const asked = state();
        const [here, there] = await compared(asked);
        const result = asResult(asked, here, there);
        status.found(result);
        return { results: requests.map(() => structuredClone(result)) };
      } catch (failure) {
        // Never answered: a later search will be. Told of a failure, InstantSearch would go back to what it had asked
        // before, and words that were typed in vain would be gone.
        if (!signal.aborted) status.failed(failure, retry);
        return new Promise(() => {});
      }
    },
  };
}

const perPage = (asked) => Number(asked.per_page) || PER_PAGE;
const first = (asked) => perPage(asked) * ((asked.page ?? 1) - 1);

/** What of a column's settings goes with what is looked for; for the rest, a note for people. */
function settle({ shop, system, rerank }, asked) {
  const words = Boolean(asked.query?.trim());
  const pictures = Boolean(asked.photo || asked.like);
  const fits = fitting(system, words, pictures);
  const notes = [
    rerank && !shop.has_ranker && "This shop has no ranker.",
    rerank && shop.has_ranker && pictures && !words && "The ranker goes by words, and there are none.",
    system && !fits && `“${system}” goes by words${words ? " alone" : ""}, so “fused” ranked this.`,
  ];
  const settings = { system: fits, rerank: shop.has_ranker && words ? rerank : undefined };
  return { settings, note: notes.filter(Boolean).join(" ") };
}

function fitting(system, words, pictures) {
  if (system === "bm25" && pictures) return undefined;
  return system === "fused+bm25" && pictures && !words ? undefined : system;
}

/** As InstantSearch knows it, with both columns beside. */
function asResult(asked, here, there) {
  const start = asked.compare ? first(asked) % BLOCK : 0;
  const rank = (hits) => new Map(hits.map((hit, at) => [hit.id, first(asked) - start + at + 1]));
  const [ranksHere, ranksThere] = [rank(here.hits), rank(there?.hits ?? [])];
  const shown = (answer, own, other) =>
    answer.hits.slice(start, start + perPage(asked)).map((hit) => ({
      ...hit,
      objectID: hit.id,
      shop: answer.shop,
      rank: own.get(hit.id),
      otherRank: there?.shop ? (other.get(hit.id) ?? null) : undefined, // no shop: it could not answer
    }));
  const column = (answer, own, other) => ({ ...answer, hits: shown(answer, own, other) });
  const numbers = Object.keys(here.ranges).map((name) => [name, {}]);
  return {
    here: column(here, ranksHere, ranksThere),
    there: there && column(there, ranksThere, ranksHere),
    hits: shown(here, ranksHere, ranksThere),
    query: asked.query ?? "",
    nbHits: here.total,
    page: (asked.page ?? 1) - 1,
    hitsPerPage: perPage(asked),
    nbPages: Math.ceil(here.total / perPage(asked)),
    processingTimeMS: here.took_ms,
    facets: { ...here.facets, ...Object.fromEntries(numbers) },
    facets_stats: here.ranges,
    filtered: filtersOf(asked).length > 0,
    capped: here.capped,
  };
}
