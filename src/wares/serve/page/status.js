/** Progress and error messages. */
import { byId, element, sentence } from "./dom.js";
import { showPhotoError } from "./photo.js";

const PROGRESS_DELAY = 300; // milliseconds until the progress bar appears
const SLOW_DELAY = 5000; // milliseconds until a message explains the wait

export function createStatus() {
  let timers = [];

  function show(message, action = null) {
    const notice = byId("notice");
    notice.replaceChildren(element("span", {}, message), ...(action ? [action] : []));
    notice.hidden = !message;
  }

  const clear = () => show("");

  function finish(failed) {
    timers.forEach(clearTimeout);
    byId("progress").hidden = true;
    byId("results").setAttribute("aria-busy", false);
    byId("results").classList.toggle("stale", failed); // dims the previous results, which stay on the page
  }

  return {
    show,
    clear,

    /** A search starts. It replaces the previous one. */
    searchStarted() {
      timers.forEach(clearTimeout);
      byId("results").setAttribute("aria-busy", true);
      timers = [
        setTimeout(() => (byId("progress").hidden = false), PROGRESS_DELAY),
        setTimeout(() => show("The server is slow. Still waiting for its response."), SLOW_DELAY),
      ];
    },

    /** The server asked to retry later, and the page does so. */
    waiting: (message) => show(`${sentence(message)} This page retries automatically.`),

    /** @param {() => void} retry sends the request again */
    searchFailed(failure, retry) {
      finish(true);
      if (failure.code?.startsWith("photo")) {
        showPhotoError(failure.message);
        clear();
        return;
      }
      const button = element("button", { type: "button", className: "button", textContent: "Retry" });
      button.onclick = () => {
        clear();
        retry();
      };
      show(sentence(failure.message), button);
    },

    searchFinished(results) {
      finish(false);
      clear();
      const count = results.nbHits.toLocaleString();
      const listings = results.nbHits === 1 ? "listing" : "listings";
      const total = results.capped ? `best ${count} of more` : `${count} ${listings}`;
      byId("stats").textContent = `${total} in ${Math.round(results.processingTimeMS)} ms`;
    },
  };
}
