/** A listing as a card, with the views that matched and their contributions to the score. */
import { percent, spaced } from "./dom.js";

const TOP_VIEWS = 3; // contributions on the card; the "Why" table has all of them
const MAX_THUMBNAILS = 5;
const PHOTO_RETRIES = 2;

/**
 * @param {(hit: object) => void} searchLike searches for listings like a hit
 * @param {(results: object) => ({hits: object[]}|null)} columnOf selects a column of the results
 */
export function hitsWidget(container, searchLike, columnOf) {
  return instantsearch.widgets.hits({
    container,
    escapeHTML: false, // the templates insert values as text, never as HTML
    transformItems: (items, { results }) => columnOf(results)?.hits ?? [],
    templates: {
      item: (hit, { html }) => card(hit, searchLike, html),
      empty: (results, { html }) => html`<p class="no-hits">${emptyMessage(columnOf(results), results)}</p>`,
    },
  });
}

function emptyMessage(column, results) {
  if (!column || column.note) return ""; // the note gives the reason
  if (results.filtered) return "No listing passes these filters. Remove one of them.";
  if (!results.query) return "This shop has no listings.";
  const advice = column.system === "bm25" ? " No listing contains these words; “fused” finds similar ones." : "";
  return `No results for “${results.query}”.${advice}`;
}

export function photoAddress(name, shop, size) {
  const path = name.split("/").map(encodeURIComponent).join("/");
  return `/api/photos/${path}?${new URLSearchParams({ shop, ...(size && { size }) })}`;
}

/** Positive contributions, largest first, with a label for people and their fraction of the positive sum. */
export function labelledContributions(hit) {
  const positive = hit.why.filter(({ contribution }) => contribution > 0);
  const sum = positive.reduce((total, { contribution }) => total + contribution, 0);
  return positive.map((item) => ({ ...item, fraction: item.contribution / sum, label: viewLabel(item, hit) }));
}

function viewLabel({ view, kind }, hit) {
  if (kind === "words") return "words (BM25)";
  return kind === "photo" ? `photo ${hit.photos.indexOf(view) + 1}` : view;
}

function card(hit, searchLike, html) {
  const contributions = labelledContributions(hit);
  const label = `More like ${hit.title || hit.id}`;
  return html`<article class="card">
    <div class="card-photo">${mainPhoto(hit, html)} ${rankChange(hit, html)}</div>
    <div class="card-text">
      <h3>${hit.title || hit.id}</h3>
      <p class="card-line">
        ${hit.price !== null && html`<span class="price">${formatPrice(hit.price)}</span>`}
        <span class="id">${hit.id}</span>
      </p>
      ${contributions.length > 0 && matchedViews(contributions, html)} ${thumbnails(hit, contributions, html)}
      <div class="card-foot">${details(hit, html)}
        <button type="button" class="more" onClick=${() => searchLike(hit)} aria-label=${label}>
          More like this
        </button>
      </div>
    </div>
  </article>`;
}

const formatPrice = (price) => price.toLocaleString(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 });

/** Whether photos contributed to the score; in a ranking by words alone they do not. */
const rankedByPhotos = (hit) => hit.why.some(({ kind, contribution }) => kind === "photo" && contribution !== 0);

const isBestPhoto = (view, hit) => view === hit.photo && rankedByPhotos(hit);

function mainPhoto(hit, html) {
  const name = hit.photo ?? hit.photos[0];
  if (!name) return html`<span class="no-photo">no photo</span>`;
  const description = `photo ${hit.photos.indexOf(name) + 1}${isBestPhoto(name, hit) ? ", the best match" : ""}`;
  return html`<img
    src=${photoAddress(name, hit.shop, 320)}
    srcset=${`${photoAddress(name, hit.shop, 320)} 1x, ${photoAddress(name, hit.shop, 640)} 2x`}
    width="320" height="320" loading="lazy" decoding="async"
    alt=${`${hit.title || hit.id}: ${description}`}
    data-name=${name} onError=${retryPhoto}
  />`;
}

/** Request a photo again if it failed to load. After the last retry the image shows its alternative text. */
function retryPhoto({ target }) {
  const retries = Number(target.dataset.retries ?? 0);
  const again = retries < PHOTO_RETRIES;
  target.dataset.retries = retries + 1;
  target.classList.toggle("broken", !again);
  if (again) setTimeout(() => target.setAttribute("src", target.getAttribute("src")), 1000 * 3 ** retries);
}

/** How many ranks a listing is higher or lower than in the other column. */
function rankChange(hit, html) {
  if (hit.otherRank === undefined) return "";
  const up = hit.otherRank === null ? null : hit.otherRank - hit.rank;
  const [mark, kind, words] =
    up === null
      ? ["new", "new", "not among the same hundred of the other ranking"]
      : up === 0
        ? ["=", "same", "the same rank in the other ranking"]
        : up > 0
          ? [`↑${up}`, "up", `${up} higher than in the other ranking, where its rank is ${hit.otherRank}`]
          : [`↓${-up}`, "down", `${-up} lower than in the other ranking, where its rank is ${hit.otherRank}`];
  return html`<p class="rank-change ${kind}" title=${words}>
    <span class="visually-hidden">Rank </span>${hit.rank} <b aria-hidden="true">${mark}</b>
    <span class="visually-hidden">, ${words}</span>
  </p>`;
}

function matchedViews(contributions, html) {
  const bars = contributions.map(
    ({ kind, fraction }) => html`<span class=${kind} style=${{ flexGrow: fraction }}></span>`,
  );
  return html`<div class="matched">
    <div class="contributions" aria-hidden="true">${bars}</div>
    <ul aria-label="What matched">
      ${contributions.slice(0, TOP_VIEWS).map(
        ({ view, kind, label, fraction }) =>
          html`<li class=${kind} title=${view}>${label} <b>${percent(fraction)}</b></li>`,
      )}
    </ul>
  </div>`;
}

function thumbnails(hit, contributions, html) {
  const others = hit.photos.filter((name) => name !== (hit.photo ?? hit.photos[0]));
  if (!others.length) return "";
  const fractionOf = (name) => contributions.find(({ view }) => view === name)?.fraction ?? 0;
  const ordered = others.sort((a, b) => fractionOf(b) - fractionOf(a)); // ties stay in the listing's order
  return html`<ul class="thumbs" aria-label="Other photos">
    ${ordered.slice(0, MAX_THUMBNAILS).map((name) => {
      const number = hit.photos.indexOf(name) + 1;
      return html`<li>
        <img src=${photoAddress(name, hit.shop, 160)} width="48" height="48" loading="lazy" decoding="async"
          alt=${`photo ${number}`} title=${name} onError=${retryPhoto} />
        ${rankedByPhotos(hit) && html`<span>${percent(fractionOf(name))}</span>`}
      </li>`;
    })}
    ${ordered.length > MAX_THUMBNAILS && html`<li class="rest">+${ordered.length - MAX_THUMBNAILS}</li>`}
  </ul>`;
}

function details(hit, html) {
  const attributes = Object.entries(hit.attributes);
  return html`<details class="details">
    <summary>${hit.why.length ? "Why" : "About"}<span class="visually-hidden"> ${hit.title}</span></summary>
    ${hit.why.length > 0 && contributionTable(hit, html)}
    ${hit.description && html`<p>${hit.description}</p>`}
    ${hit.tags.length > 0 && html`<p class="tags">${hit.tags.map((tag) => `#${tag}`).join("  ")}</p>`}
    ${attributes.length > 0 &&
    html`<dl>
      ${attributes.map(
        ([name, value]) => html`<div><dt>${spaced(name)}</dt><dd>${[value].flat().join(", ")}</dd></div>`,
      )}
    </dl>`}
  </details>`;
}

function contributionTable(hit, html) {
  return html`<table>
    <thead>
      <tr><th scope="col">view</th><th scope="col">similarity</th><th scope="col">contribution</th></tr>
    </thead>
    <tbody>
      ${hit.why.map(
        ({ kind, view, contribution, similarity }) => html`<tr>
          <th scope="row">
            ${kind === "words" ? "words (BM25)" : view}${isBestPhoto(view, hit) && html` <b>best photo</b>`}
          </th>
          <td>${similarity?.toFixed(4)}</td>
          <td>${contribution.toFixed(4)}</td>
        </tr>`,
      )}
    </tbody>
    <tfoot>
      <tr><th scope="row" colspan="2">score</th><td>${hit.score.toFixed(4)}</td></tr>
      ${hit.rerank_score != null &&
      html`<tr><th scope="row" colspan="2">rerank score</th><td>${hit.rerank_score.toFixed(4)}</td></tr>`}
    </tfoot>
  </table>`;
}
