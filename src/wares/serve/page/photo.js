/**
 * Search by a photo: from a file, a drop, or the clipboard.
 *
 * A photo is sent once for each model that the shops have. The server answers with a token, the encoded photo itself; the
 * tokens, joined by dots, are what the page's state and its address have, so that a link to the page looks for the same
 * photo in any of the shops, although it cannot show it.
 */
import { fetchJson } from "./client.js";
import { byId, sentence } from "./dom.js";

const LONGER_SIDE = 1024; // pixels. Models look at fewer, and a phone's photo has many more

/**
 * @param shops all of them; shop: the one that is shown
 * @param {(changed: object) => void} change takes the tokens into the page's state
 */
export function watchPhotos(shops, shop, change) {
  const previews = new Map();
  const asked = new Map([...shops, shop].map((each) => [each.model, each])); // one of each model
  let sending = new AbortController();

  async function take(file) {
    sending.abort();
    sending = new AbortController();
    const { signal } = sending;
    trouble("");
    byId("pick").classList.add("busy");
    try {
      const photo = await smaller(file);
      const tokens = (await Promise.all([...asked.values()].map((each) => send(photo, each, signal)))).join(".");
      previews.set(tokens, URL.createObjectURL(photo));
      change({ photo: tokens, like: undefined });
    } catch (failure) {
      if (!signal.aborted) trouble(failure.message);
    } finally {
      if (!signal.aborted) byId("pick").classList.remove("busy");
    }
  }

  watchFiles(take);
  return { preview: (tokens) => previews.get(tokens) };
}

async function send(photo, shop, signal) {
  const body = new FormData();
  body.set("photo", photo, "photo");
  const query = new URLSearchParams({ shop: shop.name, per_page: 1 });
  return (await fetchJson(`/api/search?${query}`, { method: "POST", body, signal })).photo;
}

/**
 * A JPEG whose longer side has at most LONGER_SIDE pixels. What the browser cannot read is sent as it is: the server says
 * what is wrong with it.
 */
async function smaller(file) {
  const image = await createImageBitmap(file).catch(() => null);
  if (!image) return file;
  const scale = Math.min(1, LONGER_SIDE / Math.max(image.width, image.height));
  if (scale === 1 && file.type === "image/jpeg") return file;
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(scale * image.width));
  canvas.height = Math.max(1, Math.round(scale * image.height));
  const context = canvas.getContext("2d");
  context.fillStyle = "white"; // behind what is transparent
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob((blob) => resolve(blob ?? file), "image/jpeg", 0.9));
}

/** What is wrong with the photo, below the search box; nothing takes the message away. */
export function trouble(message) {
  byId("photo-trouble").textContent = sentence(message);
  byId("photo-trouble").hidden = !message;
}

function watchFiles(take) {
  const [file, pick, drop] = [byId("file"), byId("pick"), byId("drop")];
  pick.addEventListener("click", () => file.click());
  file.addEventListener("change", () => {
    if (file.files[0]) take(file.files[0]);
    file.value = ""; // so that the same photo can be chosen again
  });
  document.addEventListener("paste", (event) => {
    const pasted = event.clipboardData?.files[0];
    if (!pasted) return; // words go where they belong
    event.preventDefault();
    take(pasted);
  });
  const withFile = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!withFile(event)) return;
    event.preventDefault();
    drop.hidden = false;
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) drop.hidden = true; // left the window, not just one of its parts
  });
  document.addEventListener("drop", (event) => {
    if (!withFile(event)) return;
    event.preventDefault();
    drop.hidden = true;
    if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
  });
}
