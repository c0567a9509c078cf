/**
 * The search page, top to bottom. InstantSearch keeps the state, the address and the order of answers; what is ours:
 *
 *   address.js   the state as the parameters of GET /api/search, and back
 *   client.js    asks the server, and again where it is not ready
 *   hits.js      a listing as a card, with what matched
 *   facets.js    the filters on the left
 *   controls.js  everything else that can be chosen or taken away
 *   photo.js     a photo from a file, a drop or the clipboard
 *   status.js    what is told while waiting, and when something goes wrong
 */
import { queryOf, stateOf } from "./address.js";
import { makeClient, openShops } from "./client.js";
import { showControls } from "./controls.js";
import { byId } from "./dom.js";
import { facetWidgets } from "./facets.js";
import { hitsWidget } from "./hits.js";
import { watchPhotos } from "./photo.js";
import { makeStatus } from "./status.js";

const INDEX = "shop"; // InstantSearch wants a name for what it searches; ours is in the state
const OWN = ["photo", "like", "system", "rerank", "per_page", "compare", "other_shop", "other_system", "other_rerank"];
const TYPING = 120; // milliseconds without a key before a search

/** State of ours that InstantSearch has no widget for. It takes part in searches, the address and the back button. */
function ownState() {
  return {
    $$type: "wares.own",
    getWidgetUiState: (ui, { searchParameters }) =>
      OWN.reduce((all, name) => (searchParameters[name] ? { ...all, [name]: searchParameters[name] } : all), ui),
    getWidgetSearchParameters: (parameters, { uiState }) =>
      parameters.setQueryParameters(Object.fromEntries(OWN.map((name) => [name, uiState[name]]))),
  };
}

function routing(shop, isFirst) {
  const address = new URLSearchParams(isFirst ? {} : { shop: shop.name });
  return {
    router: instantsearch.routers.history({
      cleanUrlOnDispose: false,
      windowTitle: (state) => (state.query ? `${state.query} – wares` : "wares"),
      parseURL: ({ location }) => stateOf(new URLSearchParams(location.search), shop.facets),
      createURL({ routeState, location }) {
        const query = new URLSearchParams([...address, ...queryOf(routeState)]).toString();
        return location.origin + location.pathname + (query && `?${query}`);
      },
    }),
    stateMapping: { stateToRoute: (ui) => ui[INDEX] ?? {}, routeToState: (state) => ({ [INDEX]: state }) },
  };
}

let waiting;
function afterTyping(query, search) {
  clearTimeout(waiting);
  waiting = setTimeout(() => search(query), query ? TYPING : 0);
}

async function start() {
  const status = makeStatus();
  const { shops, shop } = await openShops(new URLSearchParams(location.search).get("shop"), status);
  const state = () => search.getUiState()[INDEX] ?? {};
  const change = (changed) => {
    clearTimeout(waiting); // what was typed last is in the box, and would overwrite this
    search.setUiState((ui) => ({ [INDEX]: { ...ui[INDEX], page: undefined, ...changed } }));
  };
  const photos = watchPhotos(shop, change);
  const search = instantsearch({
    indexName: INDEX,
    searchClient: makeClient(shops, shop, state, photos, status),
    routing: routing(shop, shop === shops[0]),
    insights: false, // nothing about searches leaves the server
    stalledSearchDelay: 300,
  });
  const more = (hit) => change({ like: hit.id, query: "", photo: undefined });
  search.addWidgets([
    ownState(),
    instantsearch.widgets.searchBox({
      container: "#box",
      placeholder: `Search ${shop.listings.toLocaleString()} listings`,
      queryHook: afterTyping,
      showLoadingIndicator: false,
      autofocus: matchMedia("(hover: hover)").matches, // on phones the keyboard would cover the page
    }),
    ...facetWidgets(shop.facets),
    hitsWidget("#here", more, (results) => results.here),
    hitsWidget("#there", more, (results) => results.there),
    instantsearch.widgets.pagination({ container: "#pages", padding: 2, scrollTo: "#results" }),
  ]);
  search.on("error", (error) => status.failed(error, () => search.refresh()));
  search.on("render", () => {
    status.follow(search.status);
    const results = search.helper.lastResults;
    showControls({ shops, shop, photos, change, state: state(), results });
    if (search.status === "idle" && results) status.found(results);
  });
  search.start();
}

function watchKeys() {
  document.addEventListener("keydown", (event) => {
    const box = document.querySelector("#box input");
    const typing = event.target.closest?.("input, select, textarea");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      box?.focus();
      box?.select();
    } else if (event.key === "Escape" && event.target === box && box.value) {
      event.preventDefault(); // some browsers would clear it themselves, without telling InstantSearch
      box.form.reset();
    }
  });
  const wide = matchMedia("(min-width: 60rem)");
  const unfold = () => (byId("filters").open = wide.matches);
  wide.addEventListener("change", unfold);
  unfold();
}

watchKeys();
start();
