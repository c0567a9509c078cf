/**
 * The search page, top to bottom. InstantSearch keeps the state, the address and the order of answers; what is ours:
 *
 *   box.js       the search box
 *   address.js   the state as the parameters of GET /api/search, and back
 *   client.js    asks the server, and again where it is not ready
 *   hits.js      a listing as a card, with what matched
 *   facets.js    the filters on the left
 *   controls.js  everything else that can be chosen or taken away
 *   photo.js     a photo from a file, a drop or the clipboard
 *   status.js    what is told while waiting, and when something goes wrong
 */
import { OWN, queryOf, stateOf } from "./address.js";
import { searchBox } from "./box.js";
import { makeClient, openShops } from "./client.js";
import { showControls } from "./controls.js";
import { byId } from "./dom.js";
import { facetWidgets } from "./facets.js";
import { hitsWidget } from "./hits.js";
import { watchPhotos } from "./photo.js";
import { makeStatus } from "./status.js";

const INDEX = "shop"; // InstantSearch wants a name for what it searches; ours is in the state

/** State of ours that InstantSearch has no widget for. It takes part in searches, the address and the back button. */
function ownState() {
  return {
    $$type: "wares.own",
    render() {}, // InstantSearch takes no widget without; controls.js shows this state
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

async function start() {
  const status = makeStatus();
  const { shops, shop } = await openShops(new URLSearchParams(location.search).get("shop"), status);
  const state = () => search.getUiState()[INDEX] ?? {};
  const box = searchBox(shop.listings);
  const change = (changed) => {
    const query = box.typed();
    search.setUiState((ui) => ({ [INDEX]: { ...ui[INDEX], page: undefined, query, ...changed } }));
  };
  const photos = watchPhotos(shops, shop, change);
  const search = instantsearch({
    indexName: INDEX,
    searchClient: makeClient({ shops, shop, status, state, retry: () => search.refresh() }),
    routing: routing(shop, shop === shops[0]),
    insights: false, // nothing about searches leaves the server
  });
  const more = (hit) => change({ like: hit.id, query: "", photo: undefined });
  const setRange = (name, range) => change({ range: { ...state().range, [name]: range } });
  search.addWidgets([
    ownState(),
    box.widget,
    ...facetWidgets(shop.facets, setRange),
    hitsWidget("#here", more, (results) => results.here),
    hitsWidget("#there", more, (results) => results.there),
    instantsearch.widgets.pagination({ container: "#pages", padding: 2, scrollTo: "#results" }),
  ]);
  search.on("render", () =>
    showControls({ shops, shop, photos, change, state: state(), results: search.helper.lastResults }),
  );
  search.start();
}

/** Filters are folded where there is little room. */
function watchWidth() {
  const wide = matchMedia("(min-width: 60rem)");
  const unfold = () => (byId("filters").open = wide.matches);
  wide.addEventListener("change", unfold);
  unfold();
}

watchWidth();
if (matchMedia("(hover: hover)").matches) byId("box").focus(); // on phones the keyboard would cover the page
start();
