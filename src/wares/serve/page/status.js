/** What is told while waiting, and when something goes wrong. */
import { byId, element, sentence } from "./dom.js";
import { trouble } from "./photo.js";

const SOON = 300; // milliseconds before a bar shows that something is going on
const SLOW = 5000; // milliseconds after which waiting is explained

export function makeStatus() {
  let timers = [];

  function tell(message, action = null) {
    const notice = byId("notice");
    notice.replaceChildren(element("span", {}, message), ...(action ? [action] : []));
    notice.hidden = !message;
  }

  const clear = () => tell("");

  function ended(wrong) {
    timers.forEach(clearTimeout);
    byId("progress").hidden = true;
    byId("results").setAttribute("aria-busy", false);
    byId("results").classList.toggle("stale", wrong); // what was found before stays, dimmed
  }

  return {
    tell,
    clear,

    /** A search was sent. Earlier ones are not waited for any more. */
    began() {
      timers.forEach(clearTimeout);
      byId("results").setAttribute("aria-busy", true);
      timers = [
        setTimeout(() => (byId("progress").hidden = false), SOON),
        setTimeout(() => tell("The server is slow today. Still waiting for its answer."), SLOW),
      ];
    },

    /** The server said "later", and is being asked again. */
    waiting: (message) => tell(`${sentence(message)} This page goes on by itself.`),

    /** @param {() => void} again tries once more */
    failed(failure, again) {
      ended(true);
      if (failure.code?.startsWith("photo")) {
        trouble(failure.message);
        clear();
        return;
      }
      const retry = element("button", { type: "button", className: "button", textContent: "Retry" });
      retry.onclick = () => {
        clear();
        again();
      };
      tell(sentence(failure.message), retry);
    },

    found(results) {
      ended(false);
      clear();
      const count = results.nbHits.toLocaleString();
      const listings = results.nbHits === 1 ? "listing" : "listings";
      const what = results.capped ? `best ${count} of more` : `${count} ${listings}`;
      byId("stats").textContent = `${what} in ${Math.round(results.processingTimeMS)} ms`;
    },
  };
}
