/** A listing as a card, with what matched and by how much. */
import { percent } from "./dom.js";

const TOP = 3; // shares told on the card; all of them are under "Why"
const THUMBNAILS = 5;
const TRIES = 2; // for a photo that did not come

/**
 * @param {(hit: object) => void} more looks for more like a listing
 * @param {(results: object) => ({hits: object[]}|null)} columnOf which hits of the results
 */
export function hitsWidget(container, more, columnOf) {
  return instantsearch.widgets.hits({
    container,
    escapeHTML: false, // nothing is put in as HTML
    transformItems: (items, { results }) => columnOf(results)?.hits ?? [],
    templates: {
      item: (hit, { html }) => card(hit, more, html),
      empty: (results, { html }) => html`<p class="nothing">${nothing(columnOf(results), results)}</p>`,
    },
  });
}

function nothing(column, results) {
  if (!column || column.note) return ""; // the note says why
  if (results.filtered) return "No listing passes these filters. Take one away.";
  if (!results.query) return "There are no listings.";
  const advice = column.system === "bm25" ? " No listing has these words: “fused” finds what is like them." : "";
  return `Nothing was found for “${results.query}”.${advice}`;
}

export function photoAddress(name, shop, size) {
  const path = name.split("/").map(encodeURIComponent).join("/");
  return `/api/photos/${path}?${new URLSearchParams({ shop, ...(size && { size }) })}`;
}

/** Shares above zero as parts of their sum, largest first, each with a name for people. */
export function parts(hit) {
  const positive = hit.why.filter(({ share }) => share > 0);
  const sum = positive.reduce((total, { share }) => total + share, 0);
  return positive.map((why) => ({ ...why, part: why.share / sum, name: nameOf(why, hit) }));
}

function nameOf({ view, kind }, hit) {
  if (kind === "words") return "words (BM25)";
  return kind === "photo" ? `photo ${hit.photos.indexOf(view) + 1}` : view;
}

function card(hit, more, html) {
  const shares = parts(hit);
  return html`<article class="card">
    <div class="card-photo">${mainPhoto(hit, html)} ${moved(hit, html)}</div>
    <div class="card-text">
      <h3>${hit.title || hit.id}</h3>
      <p class="card-line">
        ${hit.price !== null && html`<span class="price">${price(hit.price)}</span>`}
        <span class="id">${hit.id}</span>
      </p>
      ${shares.length > 0 && whatMatched(shares, html)} ${thumbnails(hit, shares, html)}
      <div class="card-foot">${details(hit, html)}
        <button type="button" class="more" onClick=${() => more(hit)} aria-label=${`More like ${hit.title || hit.id}`}>
          More like this
        </button>
      </div>
    </div>
  </article>`;
}

const price = (value) => value.toLocaleString(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 });

/** Whether photos took part in the ranking, which they do not in one by words alone. */
const byPhotos = (hit) => hit.why.some(({ kind }) => kind === "photo");

function mainPhoto(hit, html) {
  const name = hit.photo ?? hit.photos[0];
  if (!name) return html`<span class="no-photo">no photo</span>`;
  const matched = `photo ${hit.photos.indexOf(name) + 1}${byPhotos(hit) ? ", the best match" : ""}`;
  return html`<img
    src=${photoAddress(name, hit.shop, 320)}
    srcset=${`${photoAddress(name, hit.shop, 320)} 1x, ${photoAddress(name, hit.shop, 640)} 2x`}
    width="320" height="320" loading="lazy" decoding="async"
    alt=${`${hit.title || hit.id}: ${matched}`}
    data-name=${name} onError=${askAgain}
  />`;
}

/** A photo that did not come may do so in a moment; one that never does leaves its name. */
function askAgain({ target }) {
  const tried = Number(target.dataset.tried ?? 0);
  target.dataset.tried = tried + 1;
  target.classList.toggle("broken", tried >= TRIES);
  if (tried < TRIES) setTimeout(() => target.setAttribute("src", target.getAttribute("src")), 1000 * 3 ** tried);
}

/** How much higher or lower a listing is here than in the other ranking. */
function moved(hit, html) {
  if (hit.otherRank === undefined) return "";
  const up = hit.otherRank === null ? null : hit.otherRank - hit.rank;
  const [mark, kind, words] =
    up === null
      ? ["new", "new", "not among the same hundred of the other ranking"]
      : up === 0
        ? ["=", "same", "the same place in the other ranking"]
        : up > 0
          ? [`↑${up}`, "up", `${up} higher than in the other ranking, where it is number ${hit.otherRank}`]
          : [`↓${-up}`, "down", `${-up} lower than in the other ranking, where it is number ${hit.otherRank}`];
  return html`<p class="moved ${kind}" title=${words}>
    <span class="unseen">Number </span>${hit.rank} <b aria-hidden="true">${mark}</b>
    <span class="unseen">, ${words}</span>
  </p>`;
}

function whatMatched(shares, html) {
  return html`<div class="why">
    <div class="shares" aria-hidden="true">
      ${shares.map(({ kind, part }) => html`<span class=${kind} style=${{ flexGrow: part }}></span>`)}
    </div>
    <ul aria-label="What matched">
      ${shares.slice(0, TOP).map(
        ({ view, kind, name, part }) => html`<li class=${kind} title=${view}>${name} <b>${percent(part)}</b></li>`,
      )}
    </ul>
  </div>`;
}

function thumbnails(hit, shares, html) {
  const others = hit.photos.filter((name) => name !== (hit.photo ?? hit.photos[0]));
  if (!others.length) return "";
  const partOf = (name) => shares.find(({ view }) => view === name)?.part ?? 0;
  const ordered = others.sort((a, b) => partOf(b) - partOf(a)); // as the listing has them where none matched
  return html`<ul class="thumbs" aria-label="Other photos">
    ${ordered.slice(0, THUMBNAILS).map((name) => {
      const number = hit.photos.indexOf(name) + 1;
      return html`<li>
        <img src=${photoAddress(name, hit.shop, 160)} width="48" height="48" loading="lazy" decoding="async"
          alt=${`photo ${number}`} title=${name} onError=${askAgain} />
        ${byPhotos(hit) && html`<span>${percent(partOf(name))}</span>`}
      </li>`;
    })}
    ${ordered.length > THUMBNAILS && html`<li class="rest">+${ordered.length - THUMBNAILS}</li>`}
  </ul>`;
}

function details(hit, html) {
  const more = Object.entries(hit.attributes);
  return html`<details class="details">
    <summary>${hit.why.length ? "Why" : "About"}<span class="unseen"> ${hit.title}</span></summary>
    ${hit.why.length > 0 &&
    html`<table>
      <thead><tr><th scope="col">view</th><th scope="col">share</th></tr></thead>
      <tbody>
        ${hit.why.map(
          (why) => html`<tr>
            <th scope="row">${why.kind === "words" ? "words (BM25)" : why.view}</th>
            <td>${why.share.toFixed(4)}</td>
          </tr>`,
        )}
      </tbody>
      <tfoot>
        <tr><th scope="row">score</th><td>${hit.score.toFixed(4)}</td></tr>
        ${hit.rerank_score != null &&
        html`<tr><th scope="row">rerank score</th><td>${hit.rerank_score.toFixed(4)}</td></tr>`}
      </tfoot>
    </table>`}
    ${hit.description && html`<p>${hit.description}</p>`}
    ${hit.tags.length > 0 && html`<p class="tags">${hit.tags.map((tag) => `#${tag}`).join("  ")}</p>`}
    ${more.length > 0 &&
    html`<dl>
      ${more.map(([name, value]) => html`<div><dt>${plain(name)}</dt><dd>${[value].flat().join(", ")}</dd></div>`)}
    </dl>`}
  </details>`;
}

/** "ships_from" as "ships from". */
export const plain = (name) => name.replaceAll("_", " ");
