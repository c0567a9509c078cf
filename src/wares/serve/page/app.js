/**
 * The search page. InstantSearch keeps the state, the address and the order of responses. The other modules:
 *
 *   box.js       the search box
 *   address.js   converts the state to the parameters of GET /api/search, and back
 *   client.js    sends requests to the server, and repeats them if the server is not ready
 *   hits.js      a listing as a card, with the views that matched
 *   facets.js    the filters on the left
 *   controls.js  selectors, chips and examples
 *   photo.js     reads a photo from a file, a drop or the clipboard
 *   status.js    progress and error messages
 */
import { OWN_STATE, parametersToState, stateToParameters } from "./address.js";
import { searchBox } from "./box.js";
import { createSearchClient, openShops } from "./client.js";
import { showControls } from "./controls.js";
import { byId } from "./dom.js";
import { facetWidgets } from "./facets.js";
import { hitsWidget } from "./hits.js";
import { watchPhotos } from "./photo.js";
import { createStatus } from "./status.js";

const INDEX = "shop"; // InstantSearch requires the name of an index; the shop's name is kept outside of its state

/** A widget for the state that no other widget manages. Searches, the address and the back button include it. */
function ownStateWidget() {
  return {
    $$type: "wares.own",
    render() {}, // InstantSearch requires a render function; controls.js shows this state
    getWidgetUiState: (ui, { searchParameters }) =>
      OWN_STATE.reduce((all, name) => (searchParameters[name] ? { ...all, [name]: searchParameters[name] } : all), ui),
    getWidgetSearchParameters: (parameters, { uiState }) =>
      parameters.setQueryParameters(Object.fromEntries(OWN_STATE.map((name) => [name, uiState[name]]))),
  };
}

function routing(shop, isDefault) {
  const shopParameter = new URLSearchParams(isDefault ? {} : { shop: shop.name });
  return {
    router: instantsearch.routers.history({
      cleanUrlOnDispose: false,
      windowTitle: (state) => (state.query ? `${state.query} – wares` : "wares"),
      parseURL: ({ location }) => parametersToState(new URLSearchParams(location.search), shop.facets),
      createURL({ routeState, location }) {
        const query = new URLSearchParams([...shopParameter, ...stateToParameters(routeState)]).toString();
        return location.origin + location.pathname + (query && `?${query}`);
      },
    }),
    stateMapping: { stateToRoute: (ui) => ui[INDEX] ?? {}, routeToState: (state) => ({ [INDEX]: state }) },
  };
}

async function start() {
  const status = createStatus();
  const { shops, shop } = await openShops(new URLSearchParams(location.search).get("shop"), status);
  const getState = () => search.getUiState()[INDEX] ?? {};
  const box = searchBox(shop.listings);
  const change = (changes) => {
    const query = box.takeText();
    search.setUiState((ui) => ({ [INDEX]: { ...ui[INDEX], page: undefined, query, ...changes } }));
  };
  const photos = watchPhotos(shops, shop, change);
  const search = instantsearch({
    indexName: INDEX,
    searchClient: createSearchClient({ shops, shop, status, getState, retry: () => search.refresh() }),
    routing: routing(shop, shop === shops[0]),
    insights: false, // sends no usage data to other sites
  });
  const searchLike = (hit) => change({ like: hit.id, query: "", photo: undefined });
  const setRange = (name, range) => change({ range: { ...getState().range, [name]: range } });
  search.addWidgets([
    ownStateWidget(),
    box.widget,
    ...facetWidgets(shop.facets, setRange),
    hitsWidget("#main-hits", searchLike, (results) => results.main),
    hitsWidget("#other-hits", searchLike, (results) => results.other),
    instantsearch.widgets.pagination({ container: "#pages", padding: 2, scrollTo: "#results" }),
  ]);
  search.on("render", () =>
    showControls({ shops, shop, photos, change, state: getState(), results: search.helper.lastResults }),
  );
  search.start();
}

/** Collapse the filters on narrow windows. */
function watchWidth() {
  const wide = matchMedia("(min-width: 60rem)");
  const update = () => (byId("filters").open = wide.matches);
  wide.addEventListener("change", update);
  update();
}

watchWidth();
if (matchMedia("(hover: hover)").matches) byId("box").focus(); // on phones the keyboard would cover the page
start();
